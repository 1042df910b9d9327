"""Tells of a loaded config whose top was changed, and not the parts that were made of it."""

import copy
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mmengine.config import Config

from .dataset_tree import joint_datasets

ATTRIBUTE = '_mtpsl_loaded'  # of a config; a copy has it too


class Loaded(NamedTuple):
    """What a config held when it was loaded.

    Attributes:
        tasks: the top-level tasks.
        own_tasks: those of parts that have others.
        preprocessor: the top-level data_preprocessor.
        own_keys: its entries that the model has otherwise.
    """

    tasks: Mapping
    own_tasks: list[Mapping]
    preprocessor: Mapping
    own_keys: frozenset[str]


def remember(cfg: Config, components: Iterable[Mapping]) -> None:
    """Keep what the parts of a config were made of.

    Args:
        cfg: the config.
        components: its parts that may have tasks.
    """
    tasks = cfg.get('tasks') or {}
    own = [part['tasks'] for part in components if part.get('tasks') and part['tasks'] != tasks]
    given = cfg.get('data_preprocessor') or {}
    model = (cfg.get('model') or {}).get('data_preprocessor') or {}
    own_keys = frozenset(key for key in given if given[key] != model.get(key))
    cfg.__dict__[ATTRIBUTE] = copy.deepcopy(Loaded(tasks, own, given, own_keys))


def check_shared(cfg: Config, components: Iterable[Mapping]) -> None:
    """Raise ValueError where a change of the top has not reached what was made of it.

    Args:
        cfg: a config; one that was not loaded by ``load_config`` is not judged.
        components: its parts that may have tasks.
    """
    loaded = cfg.__dict__.get(ATTRIBUTE)
    if loaded is None:
        return
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
    for key in {*loaded.preprocessor, *given} - loaded.own_keys:
        if loaded.preprocessor.get(key) != given.get(key) != model.get(key):
            raise _came_apart(f'data_preprocessor.{key}', 'the model has',
                              f'data_preprocessor.{key}')


def _came_apart(what: str, who: str, key: str) -> ValueError:
    return ValueError(f'{what} was changed after load_config, and {who} what was loaded: pass the '
                      f"change as load_config(path, {{'{key}...': ...}}), or --cfg-options")
