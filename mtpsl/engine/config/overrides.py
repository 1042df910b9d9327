"""Merges the overrides of ``--cfg-options`` into a config."""

import re
import traceback
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from .values import value_of


def merge_options(cfg: Config, options: Mapping[str, object]) -> None:
    """Merge overrides, in their order, into a config, and import the modules that they name.

    Args:
        cfg: the config.
        options: dotted key -> value.

    Raises:
        ValueError: a value has no place in the config, or undoes an earlier one.
    """
    done: list[str] = []
    for key, value in options.items():
        there = value_of(cfg, key)
        if isinstance(there, (list, tuple)) and isinstance(value, Mapping) and not (
                value.get('_delete_') or all(name.isdigit() for name in map(str, value))):
            raise ValueError(f'--cfg-options {key} is a list, {there!r:.200}, got a dict: '
                             '_delete_=True in it takes the place of the list')
        _check_list_index(key, cfg)
        inside = {child: value_of(cfg, child) for child in done if child.startswith(f'{key}.')}
        try:
            cfg.merge_from_dict({key: value})  # one by one, or a parent would undo its child
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise ValueError(f'--cfg-options {key}: '
                             f'{error.args[0] if error.args else error}') from error
        if undone := [child for child in inside if value_of(cfg, child) != inside[child]]:
            raise ValueError(f'--cfg-options {key} undoes {undone[0]}, which stands before it: '
                             f'{key} is to stand first')
        done.append(key)
    if any(key.split('.')[0] == 'custom_imports' for key in done):
        _import(cfg)


def _import(cfg: Config) -> None:
    """Import what ``custom_imports`` names, which mmengine does for the config's file alone."""
    wanted = cfg.get('custom_imports') or {}
    if not isinstance(wanted, Mapping) or not set(wanted) <= {'imports', 'allow_failed_imports'}:
        raise ValueError("--cfg-options custom_imports must be a dict(imports=['module', ...]), "
                         f'got {wanted!r}')
    if wanted:
        try:
            import_modules_from_strings(**wanted)
        except ImportError as error:
            raise import_error('--cfg-options', error) from error


def _check_list_index(key: str, cfg: Config) -> None:
    parts = key.split('.')
    for depth, name in enumerate(parts[1:], 1):
        parent = '.'.join(parts[:depth])
        listed = value_of(cfg, parent)
        if isinstance(listed, (list, tuple)) and not name.isdigit():
            raise ValueError(f'--cfg-options {key}: {parent} is a list of {len(listed)}, whose '
                             f'entries have numbers from 0, as in {parent}.0.{name}')


def import_error(who: str, error: ImportError) -> ImportError:
    """Return the error of an import in a module that was found, else the error as it is.

    Args:
        who: what names the modules.
        error: as mmengine raises it.
    """
    inner: BaseException = error
    while cause := inner.__cause__ or inner.__context__:
        inner = cause
    name = str(getattr(inner, 'name', None) or '')
    if inner is error or name and re.search(rf'\b{re.escape(name)}\b', str(error)):
        return error
    places = [frame for frame in traceback.extract_tb(inner.__traceback__)
              if not frame.filename.startswith('<frozen')]
    return ImportError(f'{who}: a module of custom_imports cannot be imported: {inner} '
                       f'({places[-1].filename}:{places[-1].lineno})')
