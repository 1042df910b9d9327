"""Tells of a loaded config whose top was changed, and not the parts that were made of it."""

import copy
import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from .dataset_tree import joint_datasets
from .parsed import parse_config
from .values import value_of
from .variables import places_by_name

ATTRIBUTE = '_mtpsl_loaded'  # of a config; a copy has it too
SHARED = ('tasks', 'data_preprocessor')  # what parts are given from the top


class Loaded(NamedTuple):
    """What a config held when it was loaded.

    Attributes:
        tasks: the top-level tasks.
        own_tasks: those of parts that have others.
        preprocessor: the top-level data_preprocessor.
        top: what stood at the top.
        variables: of each variable of the files its value and, by key, those of its places.
    """

    tasks: Mapping
    own_tasks: list[Mapping]
    preprocessor: Mapping
    top: frozenset[str]
    variables: Mapping[str, tuple[Any, Mapping[str, Any]]]


def check_written_out(path: str, cfg: Config, components: Sequence[Mapping]) -> None:
    """Raise ValueError where what is at the top reaches no part, all of which have their own.

    So it is where someone edits a run's dump or the output of ``print_config``, which have the
    tasks written out in every part.

    Args:
        path: the config file.
        cfg: the config, its parts with their tasks.
        components: these parts.
    """
    tasks, parts = cfg.get('tasks') or {}, [part['tasks'] for part in components
                                            if part.get('tasks')]
    for name in dict.fromkeys((*tasks, *(name for part in parts for name in part))):
        own = [part.get(name) for part in parts]
        if not tasks or not parts or tasks.get(name) in own:
            continue
        was = next(one for one in own if one) if any(own) else {}
        key = '.'.join((name, *list(differing(tasks.get(name) or {}, was))[:1]))
        raise ValueError(
            f'{path}: tasks.{key} is {_shown(tasks, key)} at the top and '
            f'{_shown({name: was}, key)} in all {len(parts)} parts that have tasks, such as '
            'model.tasks, since they are written out there, as in a dump: a change of the top '
            f'alone has no effect. --cfg-options tasks.{key}=... reaches all, as does a child '
            'config with _base_')


def check_preprocessor(path: str, cfg: Config) -> None:
    """Warn of the same for ``data_preprocessor``, before the model is given that of the top.

    In a file without bases that has the tasks written out and in both places all its entries, but
    for a run's dump as it was written: overrides of the model's own may have left it so.
    """
    from mtpsl.engine.dumped_config import is_dump  # here: it imports this package

    model, given = cfg.get('model') or {}, cfg.get('data_preprocessor') or {}
    own = model.get('data_preprocessor') or {}
    file = parse_config(path)
    if (not model.get('tasks') or file is None or file.bases or not given.keys() <= own.keys()
            or path.endswith('.py') and is_dump(Path(path)) or os.environ.get('RANK', '0') != '0'):
        return
    for key in differing(given, {name: own[name] for name in given}):
        warnings.warn(
            f'{path}: data_preprocessor.{key} is {_shown(given, key)} at the top and '
            f'{_shown(own, key)} in model.data_preprocessor, which counts', stacklevel=4)


def differing(one: Mapping, other: Mapping) -> Iterator[str]:
    """Dotted keys that two dicts have otherwise, the innermost."""
    for key in dict.fromkeys((*one, *other)):
        values = one.get(key), other.get(key)
        if all(isinstance(value, Mapping) for value in values):
            yield from (f'{key}.{below}' for below in differing(*values))  # type: ignore[arg-type]
        elif values[0] != values[1]:
            yield str(key)


def _shown(tasks: Mapping, key: str) -> str:
    value: Any = tasks
    for part in key.split('.'):
        value = value.get(part) if isinstance(value, Mapping) else None
    return 'not given' if value is None else f'{value!r:.60}'


def remember(cfg: Config, components: Iterable[Mapping], known: Collection[str]) -> None:
    """Keep what the parts of a config were made of.

    Args:
        cfg: the config.
        components: its parts that may have tasks.
        known: the top-level keys that a run reads.
    """
    tasks = cfg.get('tasks') or {}
    own = [part['tasks'] for part in components if part.get('tasks') and part['tasks'] != tasks]
    given = cfg.get('data_preprocessor') or {}
    places = places_by_name(cfg.filename, [name for name in cfg if name not in known], known)
    variables = {name: (cfg[name], {key: value_of(cfg, key) for key in keys})
                 for name, keys in places.items()}
    cfg.__dict__[ATTRIBUTE] = copy.deepcopy(
        Loaded(tasks, own, given, frozenset(cfg), variables))


def check_shared(cfg: Config, components: Iterable[Mapping], known: Collection[str]) -> None:
    """Raise ValueError where a change of the top has not reached what was made of it.

    Args:
        cfg: a config; one that was not loaded by ``load_config`` is not judged.
        components: its parts that may have tasks.
        known: the top-level keys that a run reads.

    Raises:
        ValueError: also where a new top-level key has the name of one that is read elsewhere.

    Warns:
        UserWarning: another top-level key is new, and nothing reads it.
    """
    loaded = cfg.__dict__.get(ATTRIBUTE)
    if loaded is None:
        return
    for name, (value, places) in loaded.variables.items():
        stale = [key for key, before in places.items()
                 if before is not None and value_of(cfg, key) == before]
        if name in cfg and cfg[name] != value and stale:
            raise ValueError(f'{name} was changed after load_config, and nothing reads it any '
                             f'more: {", ".join(stale)} {"has" if len(stale) == 1 else "have"} '
                             'what was loaded; set what is to change')
    for name in sorted(set(cfg) - loaded.top - set(known)):
        told = f'{name} was added to the config after load_config, and nothing reads it there'
        inside = [f'{key}.{name}' for key, part in cfg.items()
                  if key in known and isinstance(part, Mapping) and name in part]
        if inside:
            raise ValueError(f'{told}; what is read is {", ".join(inside)}')
        if os.environ.get('RANK', '0') == '0':
            warnings.warn(f'{told}, unless code of yours does', stacklevel=3)
    tasks = cfg.get('tasks') or {}
    if tasks != loaded.tasks and (any(joint_datasets(cfg)) or any(
            part.get('tasks') and part['tasks'] not in (tasks, *loaded.own_tasks)
            for part in components)):
        changed = [name for name in dict.fromkeys((*loaded.tasks, *tasks))
                   if loaded.tasks.get(name) != tasks.get(name)]
        raise _came_apart(f'tasks ({", ".join(changed)})', 'the model and the datasets have',
                          f'tasks.{changed[0]}')
    given = cfg.get('data_preprocessor') or {}
    model = (cfg.get('model') or {}).get('data_preprocessor') or {}
    for key in {*loaded.preprocessor, *given}:
        if loaded.preprocessor.get(key) != given.get(key) != model.get(key):
            raise _came_apart(f'data_preprocessor.{key}', 'the model has',
                              f'data_preprocessor.{key}')


def _came_apart(what: str, who: str, key: str) -> ValueError:
    return ValueError(f'{what} was changed after load_config, and {who} what was loaded: pass the '
                      f"change as load_config(path, {{'{key}...': ...}}), or --cfg-options")
