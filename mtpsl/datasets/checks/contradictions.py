"""What labels of training and evaluation, and those of named sets, tell of each other."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from mtpsl.datasets.joint import JointDataset
from mtpsl.tasks import Task
from mtpsl.tasks.seen import ENOUGH, Seen

# Least share of colours that classes explain where they are drawn on the images, and how many times
# that of images.
DRAWN, LEAP = 0.6, 2
Looked = Mapping[str, tuple[Task, Seen]]  # task name -> the task and what was seen of its labels


def compare_labels(learned: Looked, tested: Looked) -> Iterator[str]:
    """What makes labels of training and of evaluation seem to be written in two ways.

    Arguments are what :func:`~mtpsl.datasets.checks.look.look_at_labels` returned.
    """
    for name in (name for name in learned if name in tested):
        (task, seen), (_, other) = learned[name], tested[name]
        told = not (seen.published and other.published) and (
            _permuted(seen, other, 'training', 'evaluation') or task.unlike(seen, other)
            or _drawn(seen, other))
        if told:
            yield f'the labels of the task {name} {told}'


def _drawn(learned: Seen, tested: Seen) -> str:
    """Whether classes explain the colours of the images of one part, as of labelled pictures."""
    if min(learned.colours.images, tested.colours.images) < ENOUGH:
        return ''
    shares = [seen.colours.explained for seen in (learned, tested)]
    if max(shares) < DRAWN or max(shares) < LEAP * min(shares):
        return ''
    return (f'explain {shares[0]:.0%} of the colours of their images in training and '
            f'{shares[1]:.0%} in evaluation: were pictures with the labels drawn on them saved as '
            'images?')


def _permuted(one: Seen, other: Seen, name: str, other_name: str) -> str:
    """Whether palettes of two sets have the colours of the classes in another order."""
    word, mine, theirs = one.permuted(other) or ('', '', '')
    return word and (f'have {word} as {mine} in {name} and as {theirs} in {other_name}: have the '
                     'palettes another order of classes? colour_coded=True of the task reads the '
                     'colours, values the indices, as in values=(0, 1, 2)')


def compare_sets(sets: Mapping[str, Looked]) -> Iterator[str]:
    """Where the measures of a task lie apart in two sets, as those of two units do.

    And where labels follow two conventions, see :func:`compare_conventions`.

    Args:
        sets: set name -> what was seen of it, by the model's names of the tasks.
    """
    ranges: dict[str, dict[str, Seen]] = {}
    yield from compare_conventions(sets)
    for name, tasks in sets.items():
        for task_name, (task, seen) in tasks.items():
            if np.dtype(task.label_dtype).kind == 'f' and seen.most is not None:
                ranges.setdefault(task_name, {})[name] = seen
    for task_name, found in ranges.items():
        if any(one.apart(other) for one in found.values() for other in found.values()):
            ends = sorted((*(seen.most or (0, 0)), name) for name, seen in found.items())
            told = ', '.join(f'{low:.3g} to {high:.3g} in {name}' for low, high, name in ends)
            yield (f'the labels of the task {task_name} lie apart in sets: {told} (most of them). '
                   'Are they of one unit? png_unit or npy_unit in tasks of a dataset says its own')


def compare_conventions(sets: Mapping[str, Looked]) -> Iterator[str]:
    """Which two sets, the first of each task, are written in two ways, whatever they show.

    Their palettes have another order of classes, or :meth:`Task.two_conventions` tells. Of two
    published sets none is judged.

    Args:
        sets: see :func:`compare_sets`.
    """
    for name in dict.fromkeys(name for tasks in sets.values() for name in tasks):
        having = combinations(sorted(one for one in sets if name in sets[one]), 2)
        if told := next(filter(None, (_two_ways(sets, name, names) for names in having)), ''):
            yield f'the labels of the task {name} {told}'


def _two_ways(sets: Mapping[str, Looked], task_name: str, names: tuple[str, str]) -> str:
    (task, one), (_, other) = (sets[name][task_name] for name in names)
    return '' if one.published and other.published else (
        _permuted(one, other, *names) or task.two_conventions(one, other, names))


def by_set(dataset: object, seen: Looked) -> dict[str, Looked]:
    """What was seen of the sets of a :class:`JointDataset`; of any other dataset nothing.

    Args:
        dataset: the dataset.
        seen: what :func:`~mtpsl.datasets.checks.look.look_at_labels` returned for it.
    """
    if not isinstance(dataset, JointDataset):
        return {}
    return {name: {task_name: seen[f'{task.name} of {name}']
                   for task_name, task in dataset.tasks_of(name).items()} for name in dataset.sets}
