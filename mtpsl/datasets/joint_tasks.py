"""Resolve which tasks each set of a :class:`~mtpsl.datasets.joint.JointDataset` has."""

import copy
from collections.abc import Mapping, Sequence, Set
from typing import Any

from mtpsl.registry import DATASETS, class_of
from mtpsl.structures.outputs import METRIC_PREFIXES
from mtpsl.tasks import Task
from mtpsl.tasks.stored import READING_OPTIONS

# Prefixes of metric names; a set's name is such a prefix too, so it must differ from these.
TAKEN = {prefix.rstrip('/') for prefix in METRIC_PREFIXES.values() if prefix} | {'delta_m'}


def check_set_names(datasets: Mapping[str, object], tasks: Mapping[str, object]) -> None:
    """Raise ValueError if the name of a set cannot prefix metric names and image ids."""
    if not isinstance(datasets, Mapping) or not datasets:
        raise ValueError('JointDataset: datasets must be a dict of set name -> dict(type=...), got '
                         f'{datasets!r:.200}')
    for name in datasets:
        if not isinstance(name, str) or not name.isidentifier() or name in TAKEN | set(tasks):
            raise ValueError('JointDataset: the name of a set must be a plain identifier and none '
                             f'of {", ".join([*tasks, *sorted(TAKEN)])}, got {name!r}')


def resolve_sets(tasks: Mapping[str, Any], datasets: Mapping[str, Any],
                 names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the set configs with their ``tasks`` written out, by the names within the set.

    Args:
        tasks: task name -> config or task.
        datasets: set name -> config, or a built dataset, which is returned unchanged.
        names: set name -> task name -> name of the task within the set.

    Raises:
        ValueError: see :class:`~mtpsl.datasets.joint.JointDataset`.
    """
    for name, own in names.items():
        if not isinstance(own, Mapping):
            raise ValueError(f'JointDataset: names.{name} must be a dict of task name -> its name '
                             f'within the set, got {own!r}')
        unknown = [task for task in own if task not in tasks]
        if name not in datasets or unknown:
            raise ValueError(f'JointDataset: names may use the sets {", ".join(datasets)} and the '
                             f'tasks {", ".join(tasks)}, got {name}: {dict(own)}')
    found = {name: config if not isinstance(config, Mapping) else
             {**config, 'tasks': _tasks_of(name, config, tasks, names.get(name, {}))}
             for name, config in datasets.items()}
    _check_meanings(found, tasks, names)
    return found


def without_left_out(datasets: Mapping[str, Any], gone: Set[str]) -> dict[str, Any]:
    """Drop the sets that are None, and from each set the tasks in ``gone``.

    Raises:
        ValueError: a set has no task left.
    """
    kept = {name: config for name, config in datasets.items() if config is not None}
    for name, config in kept.items():
        given = config.get('tasks') if isinstance(config, Mapping) else None
        if not given or isinstance(given, str) or gone.isdisjoint(given):
            continue
        left = ({task: given[task] for task in given if task not in gone}
                if isinstance(given, Mapping) else [task for task in given if task not in gone])
        if not left:
            raise ValueError(f'datasets.{name} is labelled for {", ".join(given)}, which tasks '
                             'leaves out: set the dataset to None too')
        kept[name] = {**config, 'tasks': left}
    return kept


def shorten_sets(tasks: Mapping[str, Any], datasets: Mapping[str, Any],
                 names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Undo :func:`resolve_sets` for configs, so that ``tasks`` can be replaced."""
    short = {}
    for name, config in datasets.items():
        model_names: dict[Any, str] = {own: task for task, own in names.get(name, {}).items()}
        given = config.get('tasks')
        if isinstance(given, Mapping) and all('type' in one for one in given.values()):
            given = {task: {key: value for key, value in given[own].items()
                            if key in READING_OPTIONS and value != tasks[task].get(key)}
                     for own, task in ((own, str(model_names.get(own, own))) for own in given)}
        short[name] = {**config, 'tasks': given}
    return short


def _tasks_of(name: str, config: Mapping, tasks: Mapping[str, Any],
              own_names: Mapping[str, str]) -> dict[str, Any]:
    """Return the tasks of a set: name within the set -> config."""
    given = config.get('tasks')
    if given is None:
        given = _known_tasks(name, config, tasks, own_names)
    if isinstance(given, str) or not isinstance(given, (Mapping, Sequence)) or not given:
        raise ValueError(f'datasets.{name}.tasks must be a list of some of {list(tasks)}, or a '
                         f'dict of them, got {given!r}')
    model_names: dict[Any, str] = {own: task for task, own in own_names.items()}
    found: dict[str, Any] = {}
    key_of: dict[str, str] = {}  # name within the set -> the model's name
    for key in given:
        options = given[key] if isinstance(given, Mapping) else {}
        # Already written out, by the names within the set.
        written = isinstance(options, Task) or isinstance(options, Mapping) and 'type' in options
        task: Any = model_names.get(key, key) if written else key
        if task not in tasks:
            raise ValueError(f'datasets.{name}.tasks names {key!r}, the tasks are '
                             f'{", ".join(tasks)}')
        own = own_names.get(task, task)
        if own in found and task != key_of[own]:
            raise ValueError(f'datasets.{name} is labelled for {key_of[own]} and for {task}, but '
                             f'names maps both to its {own!r}: a label belongs to one task')
        key_of[own] = task
        found[own] = (_same(name, task, options, tasks[task]) if written else
                      _with_options(name, task, options, tasks[task], own))
    unused = [task for task in own_names if task not in key_of.values()]
    if unused:
        raise ValueError(f'JointDataset: names.{name} renames {unused[0]}, which is not in '
                         f'datasets.{name}.tasks ({", ".join(key_of.values())})')
    return found


def _check_meanings(datasets: Mapping[str, Any], tasks: Mapping[str, Any],
                    names: Mapping[str, Mapping[str, str]]) -> None:
    """Raise ValueError if the labels of a task have different meanings in two sets.

    A set whose ``values`` map its numbers to the model's classes needs no check.
    """
    for task in tasks:
        first: dict[str, str] = {}  # meaning -> set
        for name, dataset in datasets.items():
            own_names = names.get(name, {})
            own = own_names.get(task, task)
            meaning = _meaning(dataset, own, tasks[task])
            if meaning and (task in own_names or own not in own_names.values()):
                first.setdefault(meaning, name)
        if len(first) > 1:
            sets = ', '.join(f'{meaning} in {name}' for meaning, name in sorted(first.items()))
            raise ValueError(
                f'JointDataset: the labels of {task} are {sets}: these are different tasks. '
                'Give it another name in one of them (names), or, for classes, map the numbers of '
                'each set to classes of the model by values in its tasks')


def _meaning(dataset: Any, own: str, shared: Any) -> str:
    """Return what the class declares the numbers of a task to mean; '' if the config states it."""
    config = isinstance(dataset, Mapping)
    held = dataset['tasks'] if config else getattr(dataset, 'tasks', {})
    cls = class_of(dataset.get('type') if config else type(dataset), DATASETS)
    source = getattr(cls, 'LABELS', {}).get(own)
    if own not in held or source is None:
        return ''
    values = [task.get('values') if isinstance(task, Mapping) else
              getattr(getattr(task, 'stored', None), 'values', None)
              for task in (held[own], shared)]
    return source.meaning if _plain(values[0]) == _plain(values[1]) else ''


def _known_tasks(name: str, config: Mapping, tasks: Mapping[str, Any],
                 own_names: Mapping[str, str]) -> list[str]:
    labels = getattr(class_of(config.get('type'), DATASETS), 'LABELS', {})
    renamed = set(own_names.values())
    known = [task for task in tasks if own_names.get(task, task) in labels
             and (task in own_names or task not in renamed)]
    if not known:
        has = f'it has labels of {", ".join(labels)}' if labels else (
            'its class does not declare its labels')
        raise ValueError(f'datasets.{name}.tasks must say which of {", ".join(tasks)} it is '
                         f'labelled for: {has}')
    return known


def _with_options(name: str, task: str, options: Any, shared: Any, own: str) -> Any:
    """Return the shared task with the reading options of a set."""
    if not isinstance(options, Mapping) or set(options) - READING_OPTIONS:
        raise ValueError(
            f'datasets.{name}.tasks.{task} may hold options for reading label files only, '
            f'{", ".join(sorted(READING_OPTIONS))}, got {options!r}: the task itself is defined '
            'for all sets by tasks at the top')
    if isinstance(shared, Task):
        if options:
            raise ValueError(f'datasets.{name}.tasks.{task}: options need a task config, '
                             f'got a {type(shared).__name__}')
        shared = copy.copy(shared)
        shared.name = own
        return shared
    return {**shared, **options}


def _same(name: str, task: str, given: Any, shared: Any) -> Any:
    """Return a written-out task if it equals the shared one except for reading options."""
    if isinstance(given, Task) != isinstance(shared, Task):
        return given  # a config and a task cannot be compared
    if isinstance(given, Task):
        pairs = {key: (getattr(given, key, None), getattr(shared, key, None))
                 for key in ('channels', 'class_names')}
        pairs['type'] = (type(given).__name__, type(shared).__name__)
    else:
        pairs = {key: (given.get(key), shared.get(key))
                 for key in sorted((set(given) | set(shared)) - READING_OPTIONS)}
    for key, (own, others) in pairs.items():
        if _plain(own) != _plain(others):
            raise ValueError(f'datasets.{name}.tasks: {key} of {task} is {own!r}, for the other '
                             f'sets and the model it is {others!r}; for other classes or units, '
                             'give the task another name (names)')
    return given


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
