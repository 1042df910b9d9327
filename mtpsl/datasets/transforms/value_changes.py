"""What pipelines make of the values of labels: users' transforms, and fixed zooms of measures."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.tasks import Task

from .contract import zooms
from .image_only import ImageOnly, package_and_name
from .loading import LoadLabels
from .probe import SIZE, copied, is_foreign, maps_of, pattern_of, sample_of

DRAWS = 4
NEAR = 1e-4  # relative change of a measure that is none
LOW, HIGH = 1.3, 7.9  # of the measures that are tried
Pipeline = tuple[Sequence[Callable], Mapping[str, Task]]  # built transforms, tasks by name


def zoomed_measures(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> Iterator[str]:
    """Yield which measures of an evaluation a fixed zoom of the pipeline makes others."""
    for low, high in zooms(steps):
        for name, task in tasks.items() if low == high != 1 else ():
            if (one := float(task.rescale(np.ones((1, 1), np.float32), low).item())) != 1:
                yield (f'the pipeline zooms images by {low:g}, and makes a {name} of 1 in the '
                       f'files {one:g}: figures are of such values, and prediction does not zoom. '
                       'Images that are too large are to be shrunk on disk')


def other_values(learned: Iterable[Pipeline], tested: Iterable[Pipeline]) -> Iterator[str]:
    """Yield which labels a user's transform makes others in training or in evaluation only."""
    changes: list[dict[str, set[str]]] = [{}, {}]
    for found, pipelines in zip(changes, (learned, tested)):
        for steps, tasks in pipelines:
            told = changed_values(steps, tasks)
            for name in tasks:
                found.setdefault(name, set()).add(told.get(name, ''))
    for name in (name for name in changes[0] if name in changes[1]):
        one, other = (sorted(found[name] - {''}) for found in changes)
        if one != other:
            here, there = ('training', 'evaluation') if one else ('evaluation', 'training')
            yield (f'the labels of the task {name} are other ones in {here}, where '
                   f'{"; ".join(one or other)}, than in {there}'
                   f'{", where " + "; ".join(other) if one and other else ""}: figures are not '
                   'of what was learned')


def changed_values(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> dict[str, str]:
    """Try the transforms that declare to move nothing on label maps with many values.

    That a value becomes unknown is no change. A transform that fails on them is ignored.

    Args:
        steps: the built transforms of a pipeline.
        tasks: task name -> task.

    Returns:
        Task name -> the transforms and a change, such as ``own.Merge makes 5 of it 3``.
    """
    chain = [step for step in steps if is_foreign(step) and not isinstance(step, ImageOnly)
             and getattr(step, 'moves', '') == 'nothing']
    names = ', '.join('.'.join(package_and_name(step)) for step in chain)
    reader = [step for step in steps if isinstance(step, LoadLabels)]
    before = {name: _varied(task) for name, task in tasks.items()}
    found: dict[str, str] = {}
    for number in range(DRAWS) if chain else ():
        results: Any = sample_of(pattern_of(SIZE), dict(before), tasks)
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                for step in reader + chain:
                    results = copied(step, surely=True)(results)
                after = maps_of(results)[1]
            except Exception:  # such as one that reads files
                return found
        for name, label in after.items():
            fits = name in before and label.shape == before[name].shape and name not in found
            if fits and (change := _change(before[name], label, tasks[name])):
                found[name] = f'{names} makes {change}'
    return found


def _varied(task: Task) -> np.ndarray:
    """Return a label map of all classes, of many measures, or of many unit vectors."""
    places = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    if np.issubdtype(task.label_dtype, np.integer):
        return (places % max(task.channels, 2)).astype(task.label_dtype)
    measures = np.linspace(LOW, HIGH, places.size).reshape(SIZE)
    if task.label_channels == 1:
        return measures.astype(task.label_dtype)
    angles = np.stack([np.cos(measures), np.sin(measures), np.ones(SIZE)], 2)[
        ..., :task.label_channels]
    return (angles / np.linalg.norm(angles, axis=2, keepdims=True)).astype(task.label_dtype)


def _change(before: np.ndarray, after: np.ndarray, task: Task) -> str:
    """Describe the first known value that became another known one; '' if none did."""
    known = ~task.says_nothing(after) if after.ndim == before.ndim else np.zeros(SIZE, bool)
    if np.issubdtype(task.label_dtype, np.integer):
        known = after != task.ignore_value
        changed = known & (after != before)
    else:
        apart = np.abs(after.astype(np.float64) - before) > NEAR * np.abs(before) + 1e-6
        changed = known & (apart.any(2) if apart.ndim == 3 else apart)
    if not changed.any():
        return ''
    row, column = np.argwhere(changed)[0]
    old, new = (' '.join(f'{value:.4g}' for value in np.atleast_1d(one[row, column]))
                for one in (before, after))
    return f'{new} of {old}'
