"""What labels of training and evaluation, and those of named sets, tell of each other."""

from collections.abc import Iterator, Mapping

import numpy as np

from mtpsl.tasks import Task
from mtpsl.tasks.seen import Seen

from .joint import JointDataset

Looked = Mapping[str, tuple[Task, Seen]]  # task name -> the task and what was seen of its labels


def compare_labels(learned: Looked, tested: Looked) -> Iterator[str]:
    """What makes labels of training and of evaluation seem to be written in two ways.

    Arguments are what :func:`~mtpsl.datasets.look.look_at_labels` returned.
    """
    for name in (name for name in learned if name in tested):
        (task, seen), (_, other) = learned[name], tested[name]
        told = not seen.published and task.unlike(seen, other)
        if told:
            yield f'the labels of the task {name} {told}'


def compare_sets(sets: Mapping[str, Looked]) -> Iterator[str]:
    """Where the measures of a task lie apart in two sets, as those of two units do.

    Args:
        sets: set name -> what was seen of it, by the model's names of the tasks.
    """
    ranges: dict[str, dict[str, Seen]] = {}
    for name, tasks in sets.items():
        for task_name, (task, seen) in tasks.items():
            if np.dtype(task.label_dtype).kind == 'f' and seen.most is not None:
                ranges.setdefault(task_name, {})[name] = seen
    for task_name, found in ranges.items():
        if any(one.apart(other) for one in found.values() for other in found.values()):
            ends = sorted((*(seen.most or (0, 0)), name) for name, seen in found.items())
            told = ', '.join(f'{low:.3g} to {high:.3g} in {name}' for low, high, name in ends)
            yield (f'the labels of the task {task_name} lie apart in sets: {told} (most of them). '
                   'Are they of one unit? png_unit or npy_unit in tasks of a set says its own')


def by_set(dataset: object, seen: Looked) -> dict[str, Looked]:
    """What was seen of the sets of a :class:`JointDataset`; of any other dataset nothing.

    Args:
        dataset: the dataset.
        seen: what :func:`~mtpsl.datasets.look.look_at_labels` returned for it.
    """
    if not isinstance(dataset, JointDataset):
        return {}
    return {name: {task_name: seen[f'{task.name} of {name}']
                   for task_name, task in dataset.tasks_of(name).items()} for name in dataset.sets}
