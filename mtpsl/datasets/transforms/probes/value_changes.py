"""What pipelines make of the values of labels: users' transforms, and fixed zooms of measures."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms.contract import chains, zooms
from mtpsl.datasets.transforms.image_only import ImageOnly
from mtpsl.tasks import Task
from mtpsl.tasks.depth import Depth

from .probe import SIZE, copied, is_foreign, maps_of, pattern_of, sample_of

DRAWS = 4
NEAR = 1e-4  # relative change of a measure that is none
LOW, HIGH = 1.3, 7.9  # of the measures that are tried


class Change(NamedTuple):
    """What a transform makes of the values of a task.

    Attributes:
        text: a change, such as ``3 of 5``.
        factor: of all values alike, where it is one.
    """

    text: str
    factor: float | None = None


Pipeline = tuple[Sequence[Callable], Mapping[str, Task]]  # built transforms, tasks by name


def zoomed_measures(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> Iterator[str]:
    """Yield which measures of an evaluation a fixed zoom of the pipeline makes others."""
    for low, high in zooms(steps):
        for name, task in tasks.items() if low == high != 1 else ():
            label = _varied(task)
            with suppress(Exception):  # a task of the user's own
                if change := _change(label, np.asarray(task.rescale(label.copy(), low)), task):
                    yield (f'the pipeline zooms images by {low:g}, and makes {change.text} in the '
                           f'{name} files: figures are of such values, and prediction does not '
                           'zoom. Images that are too large are to be shrunk on disk')


def other_values(learned: Iterable[Pipeline], tested: Iterable[Pipeline]) -> Iterator[str]:
    """Yield which labels users' transforms make others in all of training, or of evaluation.

    Of several datasets some may need it, so one that evaluation reads like one of training is
    enough. Metres that all of them multiply alike are told of too: nothing makes predictions
    metres again.
    """
    changes: list[dict[str, set[str]]] = [{}, {}]
    factors: dict[str, set[float | None]] = {}
    for found, pipelines in zip(changes, (learned, tested)):
        for steps, tasks in pipelines:
            for chain in chains(steps):
                told = changed_values(chain, tasks)
                for name, task in tasks.items():
                    change = told.get(name, Change(''))
                    found.setdefault(name, set()).add(change.text)
                    metres = isinstance(task, Depth) and task.metric
                    factors.setdefault(name, set()).add(change.factor if metres else None)
    for name in (name for name in changes[0] if name in changes[1]):
        if not changes[0][name] & changes[1][name]:
            ways = [' or '.join(f'a transform makes {change}' if change else 'none changes them'
                                for change in sorted(found[name])) for found in changes]
            yield (f'the labels of the task {name} are other ones in training, where {ways[0]}, '
                   f'than in evaluation, where {ways[1]}: figures are not of what was learned')
        elif None not in factors[name]:
            made = ' or '.join(sorted(changes[0][name]))
            yield (f'a transform makes {made} in the labels of the task {name}, in training and in '
                   'evaluation: losses, figures and predictions are in these values, which all '
                   'that is told of predictions calls metres; png_unit or npy_unit of the task '
                   'says what a file holds')


def changed_values(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> dict[str, Change]:
    """Try the transforms that declare to move nothing on label maps with many values.

    That a value becomes unknown is no change. A transform that fails on them is ignored.

    Args:
        steps: the built transforms of a pipeline.
        tasks: task name -> task.

    Returns:
        Task name -> a change.
    """
    chain = [step for step in steps if is_foreign(step) and not isinstance(step, ImageOnly)
             and getattr(step, 'moves', '') == 'nothing']
    before = {name: _varied(task) for name, task in tasks.items()}
    found: dict[str, Change] = {}
    for number in range(DRAWS) if chain else ():
        results: Any = sample_of(pattern_of(SIZE), {
            name: label.copy() for name, label in before.items()}, tasks)
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                for step in chain:
                    results = copied(step, surely=True)(results)
                for name, label in maps_of(results)[1].items():
                    if name in before and (change := _change(before[name], label, tasks[name])):
                        found.setdefault(name, change)
            except Exception:  # such as one that reads files
                return found
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


def _change(before: np.ndarray, after: np.ndarray, task: Task) -> Change | None:
    """Describe the first known value that became another known one; None if none did."""
    if after.shape != before.shape:
        return None
    known = ~task.says_nothing(after)
    if np.issubdtype(task.label_dtype, np.integer):
        known = after != task.ignore_value
        changed = known & (after != before)
    else:
        apart = np.abs(after.astype(np.float64) - before) > NEAR * np.abs(before) + 1e-6
        changed = known & (apart.any(2) if apart.ndim == 3 else apart)
    if not changed.any():
        return None
    row, column = np.argwhere(changed)[0]
    old, new = (' '.join(f'{value:.4g}' for value in np.atleast_1d(one[row, column]))
                for one in (before, after))
    ratios = after[known] / before[known] if before.ndim == 2 and before.all() else np.array([0, 1])
    alike = np.ptp(ratios) <= NEAR * abs(ratios[0])
    return Change(f'{new} of {old}', float(ratios[0]) if alike else None)
