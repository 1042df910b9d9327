"""Finds configs and weights by name, among the shipped files and in ``model-index.yml``."""

import difflib
import warnings
from functools import cache
from pathlib import Path

from mmengine.fileio import load

import mtpsl

CONFIG_SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def home() -> Path:
    """Return the folder with ``configs``, ``tools`` and ``model-index.yml``.

    Returns:
        ``mtpsl/.mim`` of an installed wheel, where OpenMMLab's tools look; otherwise the root of
        the repository.
    """
    package = Path(mtpsl.__file__).resolve().parent
    shipped = package / '.mim'
    return shipped if shipped.is_dir() else package.parent


@cache
def models() -> dict[str, dict]:
    """Return the entries of all metafiles in ``model-index.yml``, by model name."""
    index = load(str(home() / 'model-index.yml'))
    return {model['Name']: model for path in index['Import']
            for model in load(str(home() / path))['Models']}


def find_config(name: str) -> str:
    """Find the file of a config by path or name.

    Args:
        name: a config file; or one below :func:`home`'s ``configs``, with or without ``configs/``
            and the suffix, such as ``diffusionmtl/pascal_random_r18``; or the name of a model of
            the index, such as ``diffusionmtl_pascal_random_r18``.

    Returns:
        Its path: a path to a file as it was given, otherwise an absolute one.

    Warns:
        UserWarning: the working folder has another config of that name.

    Raises:
        FileNotFoundError: no config has this name, or the file has no suffix of a config.
    """
    path = Path(name)
    if path.is_file():
        if path.suffix in CONFIG_SUFFIXES:
            return name
        raise FileNotFoundError(f'the config file {name} is no {", ".join(CONFIG_SUFFIXES)} file')
    if not path.is_absolute() and '..' not in path.parts:
        below = home() / 'configs' / name.removeprefix('configs/')
        for found in (below, below.with_name(below.name + '.py')):
            if found.is_file() and found.suffix in CONFIG_SUFFIXES:
                return _shipped(found)
    if name in models():
        return _shipped(home() / models()[name]['Config'])
    if path.is_dir():
        raise FileNotFoundError(f'the config file {name} is a folder')
    raise FileNotFoundError(f'the config file {name} does not exist, and no config or model that '
                            f'ships is called so{_suggestion(name)}')


def _shipped(found: Path) -> str:
    """Return the path of a config that ships; warn if the folder has another file in its place.

    As a checkout has that was edited after a copy of it was installed.
    """
    here = Path('configs', found.relative_to(home() / 'configs'))
    if here.is_file() and here.read_bytes() != found.read_bytes():
        warnings.warn(f'{found} is read. {here} of this folder, which is read by its path, has '
                      'other content', stacklevel=3)
    return str(found)


def find_entry(name: str) -> dict:
    """Return the entry of ``model-index.yml`` for a config; {} if there is none.

    Args:
        name: path or name of a config, see :func:`find_config`.

    Raises:
        FileNotFoundError: no such config.
    """
    config = Path(find_config(name)).resolve()
    return next((model for model in models().values()
                 if (home() / model['Config']).resolve() == config), {})


def find_weights(name: str) -> str | None:
    """Return the weights of ``model-index.yml`` for a config.

    Args:
        name: path or name of a config, see :func:`find_config`.

    Returns:
        The entry ``Weights`` of its model: a URL as it is, or the path of a shipped file, which
        the entry gives relative to the package. None if there is no such entry.

    Raises:
        FileNotFoundError: no such config.
    """
    weights = find_entry(name).get('Weights')
    if weights is None or '://' in weights:
        return weights
    return str(Path(mtpsl.__file__).resolve().parent / weights)


def config_names() -> list[str]:
    """Return ``folder/name`` of all shipped configs that can be run, sorted."""
    folder = home() / 'configs'
    return sorted(str(path.relative_to(folder).with_suffix('')) for path in folder.glob('*/*.py')
                  if path.parent.name != '_base_')


def _suggestion(name: str) -> str:
    stem = str(Path(name).with_suffix('')) if name.endswith(CONFIG_SUFFIXES) else name
    near = difflib.get_close_matches(stem.removeprefix('configs/'),
                                     [*models(), *config_names()], 3, cutoff=0.7)
    return f'; near: {", ".join(near)}' if near else '; `mtpsl list` shows them'
