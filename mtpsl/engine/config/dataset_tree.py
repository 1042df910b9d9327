"""The datasets of a config: those inside of wrappers, and the named sets of a ``JointDataset``."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from mmengine.config import Config

from mtpsl.datasets.joint_tasks import (
    check_set_names,
    resolve_sets,
    shorten_sets,
    without_left_out,
)


def leaves(dataset: dict) -> Iterator[dict]:
    """The datasets inside wrappers."""
    for _, leaf in named_leaves(dataset):
        yield leaf


def only_leaf(dataset: dict) -> dict:
    """The one dataset inside wrappers; ValueError where there are several."""
    names = [name for name, _ in named_leaves(dataset)]
    if len(names) > 1:
        known = ', '.join(filter(None, names)) or f'{len(names)} of them'
        raise ValueError(f'one dataset can be measured, the config has {known}; a named set is '
                         'left out by dataset.datasets.NAME=None')
    return next(leaves(dataset))


def named_leaves(dataset: dict) -> Iterator[tuple[str, dict]]:
    """The same with their names in a ``JointDataset``; '' elsewhere."""
    inner = _inside(dataset)
    if not inner:
        yield '', dataset
    pairs = inner.items() if isinstance(inner, Mapping) else [('', child) for child in inner]
    for name, child in pairs:
        yield from ((name or below, leaf) for below, leaf in named_leaves(child))


def joints(dataset: dict) -> Iterator[dict]:
    """The datasets of named sets, inside of wrappers too."""
    inner = _inside(dataset)
    if isinstance(inner, Mapping):
        yield dataset
    else:
        for child in inner:
            yield from joints(child)


def _inside(dataset: Mapping) -> Mapping[str, dict] | Sequence[Any]:
    """What a wrapper wraps, by name in a ``JointDataset``; nothing of another dataset."""
    if not isinstance(dataset, Mapping):
        raise TypeError(f'a dataset must be a dict with a type, got {dataset!r}')
    if not dataset.get('datasets'):
        return [dataset['dataset']] if 'dataset' in dataset else []
    inner = dataset['datasets']
    values = inner.values() if isinstance(inner, Mapping) else inner
    if not isinstance(inner, (Mapping, list, tuple)) or not all(
            isinstance(one, Mapping) or one is None and isinstance(inner, Mapping)
            for one in values):
        raise TypeError('datasets must be a dict of set name -> dict(type=...) or a list of such '
                        f'dicts, got {inner!r}; None leaves out a named set')
    return inner


def joint_datasets(cfg: Config) -> Iterator[dict]:
    """Those of all data loaders."""
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            yield from joints(loader['dataset'])


def write_out_sets(cfg: Config) -> None:
    """Give each named set its tasks, see :func:`mtpsl.datasets.joint_tasks.resolve_sets`."""
    for joint in joint_datasets(cfg):
        joint.setdefault('tasks', cfg.tasks)
        check_set_names(joint['datasets'], joint['tasks'])
        joint['datasets'] = resolve_sets(joint['tasks'], joint['datasets'],
                                         joint.get('names') or {})


def shorten_written_sets(cfg: Config, tasks: Mapping) -> None:
    """Undo it where the tasks are these, for other ones to take their place."""
    for joint in joint_datasets(cfg):
        if joint.get('tasks') == tasks:
            joint['datasets'] = shorten_sets(joint.pop('tasks'), joint['datasets'],
                                             joint.get('names') or {})


def leave_out_sets(cfg: Config, gone: Set[str]) -> None:
    """Drop named sets that are None, and from the others the tasks that are gone."""
    for joint in joint_datasets(cfg):
        names = joint.get('names') or {}
        for name in [name for name in names if joint['datasets'].get(name, {}) is None]:
            names.pop(name)
        for own in names.values():
            for task in gone & set(own):
                own.pop(task)
        joint['datasets'] = without_left_out(joint['datasets'], gone)
