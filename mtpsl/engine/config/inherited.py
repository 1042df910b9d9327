"""Options that a part has from its base, whose ``type`` was another: they may mean other things."""

import ast
import inspect
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mtpsl import registry as ours
from mtpsl.tasks.stored import READING_OPTIONS

from .parsed import ConfigFile, parse_config
from .values import keys_of, value_of

REGISTRIES = (ours.TASKS, ours.MODELS, ours.DATASETS, ours.TRANSFORMS, ours.METRICS,
              ours.OPTIMIZERS, ours.PARAM_SCHEDULERS, ours.DATA_SAMPLERS, ours.HOOKS, ours.LOOPS)
DELETE = '_delete_'
OF_ANY_TYPE = ('optim_wrapper',)  # parts whose options mean the same for all types


def check_inherited(path: str, cfg: Config, read: Callable[[str], Config]) -> None:
    """Look at each type that a config, or a base of it, replaces.

    Args:
        path: the config file.
        cfg: the config read from it, without overrides.
        read: reads a config file.

    Raises:
        ValueError: a task keeps options of how its label files are read from another type.

    Warns:
        UserWarning: another part keeps options of another type.
    """
    top = parse_config(path)
    for file in top.family() if top is not None else ():
        for base in file.bases if file.changes_in_place else ():
            _check_in_place(file, read(file.path), read(base.path), cfg)
        for name, values in file.assigned.items() if file.bases and not file.imports else ():
            for key, kind, written in _typed(values[-1], name) if values else ():
                earlier = [before for base in file.bases if isinstance(
                    before := value_of(read(base.path), key), Mapping)]
                for before in earlier if value_of(cfg, f'{key}.type') == kind else ():
                    _judge(file.path, key, kind, written | _said_later(cfg, key, before), before)


def _check_in_place(file: ConfigFile, now: Config, base: Config, cfg: Config) -> None:
    """The same for ``_base_.tasks.depth.type = ...``."""
    written = set()
    for part in ast.walk(file.tree):
        if isinstance(part, ast.keyword):
            written.add(str(part.arg))
        elif isinstance(part, ast.Attribute):
            written.add(part.attr)
        elif isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant):
            written.add(str(part.slice.value))
    for key in keys_of(base):
        place, _, last = key.rpartition('.')
        kind = value_of(now, key)
        if last != 'type' or place.split('.')[0] in file.assigned or (
                kind is None or value_of(cfg, key) != kind):
            continue
        before = value_of(base, place)
        _judge(file.path, place, kind, written | _said_later(cfg, place, before), before)


def _said_later(cfg: Config, place: str, before: Mapping[str, Any]) -> set[str]:
    """Return the options of a base's part that the whole config, a child of it, has otherwise."""
    return {name for name in before if value_of(cfg, f'{place}.{name}') != before[name]}


def check_options(cfg: Config, options: Mapping[str, object]) -> None:
    """The same for overrides, before they are merged into the config."""
    for key, value in options.items():
        place, _, last = key.rpartition('.')
        if last == 'type':
            written = {one[len(place) + 1:] for one in options if one.startswith(f'{place}.')}
            _judge('--cfg-options', place, value, written, value_of(cfg, place))
        elif isinstance(value, Mapping) and 'type' in value and not value.get(DELETE):
            written = {*value, *(one[len(key) + 1:] for one in options
                                 if one.startswith(f'{key}.'))}
            _judge('--cfg-options', key, value['type'], written, value_of(cfg, key))


def _typed(node: ast.expr, place: str) -> Iterator[tuple[str, Any, set[str]]]:
    """The dicts of an expression that add a type to what a base has: key, type, all entries."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        entries: dict[Any, ast.expr] = {word.arg: word.value for word in node.keywords}
        if node.args:
            return
    elif isinstance(node, ast.Dict):
        entries = {key.value if isinstance(key, ast.Constant) else None: value
                   for key, value in zip(node.keys, node.values)}
    else:
        return
    if None in entries or DELETE in entries:  # ** of what is known only when it runs
        return
    kind = entries.get('type')
    if isinstance(kind, ast.Constant):
        yield place, kind.value, set(entries)
    for key, value in entries.items():
        yield from _typed(value, f'{place}.{key}')


def _judge(who: str, key: str, kind: Any, written: Collection[str], before: Any) -> None:
    if not isinstance(before, Mapping) or key in OF_ANY_TYPE:
        return
    was, now = (str(getattr(one, '__name__', one)).rpartition('.')[2]
                for one in (before.get('type'), kind))
    if before.get('type') is None or was == now:
        return
    cls = next(filter(None, (ours.class_of(kind, one) for one in REGISTRIES)), None)
    known = inspect.signature(cls).parameters if callable(cls) else {}
    stayed = {name: value for name, value in before.items()
              if name in known and name not in written and not _has_parts(value)
              and value != known[name].default}
    if not stayed:
        return
    named = ', '.join(f'{name}={value!r:.40}' for name, value in stayed.items())
    text = (f'{who} makes {key} a {now}, and it keeps options of the {was} of the base: {named}; '
            f'{DELETE}=True in it leaves them out, and what is to stay is to be written')
    if key.startswith('tasks.') and READING_OPTIONS & set(stayed):
        raise ValueError(text)
    if os.environ.get('RANK', '0') == '0':
        warnings.warn(text, stacklevel=4)


def _has_parts(value: Any) -> bool:
    """Whether a value is a part itself, or holds some, which have types of their own."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(one, Mapping) for one in values)
