"""Test whether user transforms change label values correctly, on known label maps.

A constant map shows the fill value and the change of depth; a map of known and unknown cells shows
blending. Maps that rise to the right and downwards show where each pixel comes from, and thus the
zoom and the rotation.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms.image_only import ImageOnly, package_and_name
from mtpsl.datasets.transforms.loading import LoadLabels
from mtpsl.tasks import Task

from .probe import DRAWS, SIZE, copied, foreign_chain, is_foreign, maps_of, pattern_of, sample_of

METRES = 4.0  # depth of the constant map
ZOOMED = 0.1  # least relative change of depth by a zoom that is checked
TURNED = 3.0  # degrees by which normals may be wrong
KINDS = ('one', 'cells', 'x', 'y')  # kinds of test labels, see _label
POINTS = 2000  # pixels used to estimate the geometry
LAG = 8  # pixels over which a ramp of grey rises or falls
STRAY = 1.5  # largest deviation from an affine map, in pixels
Maps = Mapping[str, np.ndarray]


class Geometry(NamedTuple):
    """Estimated geometric change of the image.

    Attributes:
        zoom: factor by which the image was enlarged.
        turn: (2, 2), maps directions (x, y) before to directions after; y points down.
    """

    zoom: float
    turn: np.ndarray


def check_values(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> None:
    """Refuse, or warn about, transforms that move labels without adapting their values.

    A transform that fails on the test labels, or is not affine, is ignored.

    Args:
        steps: the built transforms of a pipeline.
        tasks: task name -> task.

    Raises:
        ValueError: class ids or known and unknown depth are blended, normals are not turned, or
            left and right classes are not exchanged.
    """
    chain = [step for step in foreign_chain(steps) if not isinstance(step, ImageOnly)]
    names = ', '.join('.'.join(package_and_name(step)) for step in chain if is_foreign(step))
    if not names:
        return
    told: dict[str, None] = {}
    filled: dict[str, set[int]] = {}
    zooms: dict[str, list[tuple[float, float, float]]] = {name: [] for name in tasks}
    for number in range(DRAWS):
        if fault := _unexchanged(chain, tasks, number):
            raise ValueError(f'the transform {names} {fault}')
        runs = _runs(chain, tasks, number)
        for name, task in tasks.items() if runs else ():
            maps = [run[name] for run in runs if name in run]
            if len(maps) < len(KINDS) or len({one.shape for one in maps}) > 1:
                continue
            one, cells, across, down = maps
            if np.issubdtype(task.label_dtype, np.integer):
                fault = _blended_ids(one, cells, task)
                filled.setdefault(name, set()).update(_written(one, cells, task))
            elif task.label_channels == 1:
                fault = _blended_depth(one, cells)
                zooms[name] += _zoomed(task, one, across, down)
            else:
                fault = _not_turned(across, down)
            if fault:
                raise ValueError(f'the transform {names} {fault.format(name=name)}')
    for name, numbers in filled.items():
        if len(numbers) == 1:  # several are those of pictures that are pasted in
            told[f'writes {min(numbers)} into the {name} label outside of the image: there the '
                 f'value must be {tasks[name].ignore_value:g}, unknown'] = None
    for name, found in zooms.items():
        told.update(dict.fromkeys(_not_rescaled(name, found)))
    for text in told:
        print_log(f'the transform {names} {text}', 'current', logging.WARNING)


def _runs(chain: Sequence[Callable], tasks: Mapping[str, Task],
          number: int) -> list[dict[str, np.ndarray]]:
    """Return the label maps of each kind after one draw; empty if they cannot be evaluated."""
    one, again = _run(chain, tasks, number, 'one'), _run(chain, tasks, number, 'one')
    across = _run(chain, tasks, number, 'x')
    as_it_is = {name: _label(task, 'x') for name, task in tasks.items()}
    # It fails, is not reproducible, or leaves the labels unchanged.
    if not one or not again or not across or not _equal(one, again) or _equal(across, as_it_is):
        return []
    others = [_run(chain, tasks, number, kind) for kind in ('cells', 'y')]
    return [one, others[0], across, others[1]] if others[0] and others[1] else []


def _run(chain: Sequence[Callable], tasks: Mapping[str, Task], number: int,
         kind: str) -> dict[str, np.ndarray] | None:
    """Return the label maps after one draw; None if a transform fails."""
    results = _results(chain, tasks, number, pattern_of(SIZE),
                       {name: _label(task, kind) for name, task in tasks.items()})
    return None if results is None else maps_of(results)[1]


def _results(chain: Sequence[Callable], tasks: Mapping[str, Task], number: int,
             pattern: np.ndarray, labels: dict[str, np.ndarray]) -> dict | None:
    """Return what one draw makes of an image and its labels; None if a transform fails."""
    results = sample_of(pattern, labels, tasks)
    with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for step in chain:
            try:
                results = copied(step, surely=number % 2 == 0)(results)
            except Exception:
                return None
            if not isinstance(results, dict):
                return None
    return results


def _unexchanged(chain: Sequence[Callable], tasks: Mapping[str, Task], number: int) -> str:
    """Name the classes of two sides that a draw mirrors without exchanging them; '' if none."""
    pairs = {name: pair for name, task in tasks.items() if (pair := _sides(task))}
    moving = [step for step in chain if not isinstance(step, LoadLabels)]  # ids, as it gives them
    halves = np.arange(SIZE[1]) >= SIZE[1] // 2
    rising: list[float] = []
    maps: dict[str, np.ndarray] = {}
    for axis in (1, 0) if pairs else ():
        ramp = np.broadcast_to(np.expand_dims(np.linspace(-1, 1, SIZE[axis]), 1 - axis), SIZE)
        results = _results(moving, tasks, number, ramp, {
            name: np.tile(np.where(halves, right, left), (SIZE[0], 1)).astype(
                tasks[name].label_dtype) for name, (left, right) in pairs.items()})
        if results is None:
            return ''
        image, maps = maps_of(results)
        grey = np.float32(image if image.ndim == 2 else image.mean(2))
        later, earlier = (np.moveaxis(grey, axis, 0)[part] for part in (slice(LAG, None),
                                                                        slice(-LAG)))
        rising.append(float(np.median(later - earlier)))
    if not rising or rising[0] * rising[1] >= 0:  # not mirrored; turned by 180 degrees both fall
        return ''
    for name, (left, right) in pairs.items():
        label = maps.get(name, np.zeros((0, 0)))
        ends = label[:, :label.shape[1] // 2], label[:, label.shape[1] // 2:]
        unchanged = (right, left) if rising[0] < 0 else (left, right)  # else upside down
        if all((end == here).sum() > (end == there).sum()
               for end, here, there in zip(ends, unchanged, unchanged[::-1])):
            named = getattr(tasks[name], 'exchanged', '') or f'{left} and {right}'
            return (f'mirrors the {name} label and leaves {named} what they are, though these '
                    "change places in a mirror image: results['tasks'][name].flip exchanges them; "
                    'where they do not, write mirrored=() for the task')
    return ''


def _sides(task: Task) -> tuple[int, int] | None:
    """Return two ids of a task that change places in a mirror image, None if there are none."""
    order = _mirror_image(task)
    moved = np.flatnonzero(order != np.arange(len(order)))
    return (int(moved[0]), int(order[moved[0]])) if len(moved) else None


def _mirror_image(task: Task) -> np.ndarray:
    """Return the id that each id of a task is in a mirror image; (0,) for other tasks."""
    if np.issubdtype(task.label_dtype, np.integer):
        ids: np.ndarray = np.arange(max(task.channels, 2), dtype=task.label_dtype)
        with suppress(Exception):  # a task of the user's own
            return np.asarray(task.flip(ids[:, None]))[:, 0]
    return np.zeros(0, int)


def _label(task: Task, kind: str) -> np.ndarray:
    """Return the test label of a kind."""
    integer = np.issubdtype(task.label_dtype, np.integer)
    known = pattern_of(SIZE) > 0
    places = np.indices(SIZE)[::-1]
    rise = places['xy'.index(kind)] / max(SIZE) if kind in 'xy' else np.zeros(SIZE)
    if integer:
        label = np.where(known, 0, task.ignore_value) if kind == 'cells' else np.ones(SIZE)
        return label.astype(task.label_dtype)
    if task.label_channels == 3:
        upwards = 0.2 + 0.7 * rise
        sideways = np.sqrt((1 - upwards ** 2) / 2)
        return np.stack([sideways, sideways, upwards], 2).astype(task.label_dtype)
    depth = METRES * (1 + rise)
    label = np.where(known, depth, task.ignore_value) if kind == 'cells' else depth
    label = label.astype(task.label_dtype)
    return label if task.label_channels == 1 else label[..., None].repeat(task.label_channels, 2)


def _equal(one: Maps | None, other: Maps | None) -> bool:
    return bool(one is not None and other is not None and set(one) == set(other) and all(
        np.array_equal(one[name], other[name]) for name in one))


def _blended_ids(one: np.ndarray, cells: np.ndarray, task: Task) -> str:
    made = cells[one != cells]  # what is the same of both labels was pasted in
    numbers = sorted(set(np.unique(made).tolist()) - {0, task.ignore_value})
    return (f'blends the numbers of the {{name}} label: {numbers[0]} came from 0 and '
            f'{task.ignore_value:g}. Resize and rotate ids by nearest neighbour, as '
            "results['tasks'][name].resize does") if numbers else ''


def _written(one: np.ndarray, cells: np.ndarray, task: Task) -> set[int]:
    """Return the numbers that are the same of both labels: they are of neither."""
    return set(np.unique(one[one == cells]).tolist()) - {task.ignore_value}


def _blended_depth(one: np.ndarray, cells: np.ndarray) -> str:
    blended = (cells > 0.05 * one) & (cells < 0.95 * one)
    return ('blends known and unknown pixels of the {name} label: 0 means unknown depth; use '
            "results['tasks'][name].resize, which takes the nearest pixel") if blended.any() else ''


def _geometry(across: np.ndarray, down: np.ndarray, start: float = METRES,
              span: float = METRES) -> Geometry | None:
    """Estimate from maps that rise by ``span`` over the larger side; None if not a similarity."""
    known = (across > start / 2) & (down > start / 2)
    if np.count_nonzero(known) < 0.1 * known.size:
        return None
    rows, columns = np.nonzero(known)
    some = slice(None, None, max(len(rows) // POINTS, 1))
    here = np.stack([columns, rows, np.ones(len(rows))], 1)[some]
    there = (np.stack([across[known], down[known]], 1)[some] - start) / span * max(SIZE)
    for _ in range(3):  # drop pixels blended at borders
        affine = np.linalg.lstsq(here, there, rcond=None)[0]
        stray = np.abs(here @ affine - there).max(1)
        keep = stray <= max(np.quantile(stray, 0.9), 1e-9)
        if stray[keep].max() < 1e-3:
            break
        here, there = here[keep], there[keep]
    left, stretch, right = np.linalg.svd(affine[:2].T)
    if stray[keep].max() > STRAY or stretch[0] > 1.1 * stretch[1]:
        return None
    return Geometry(float(1 / np.sqrt(stretch[0] * stretch[1])), (left @ right).T)


def _zoomed(task: Task, one: np.ndarray, across: np.ndarray,
            down: np.ndarray) -> list[tuple[float, float, float]]:
    """Return zoom, depth found and depth expected after a draw; empty if unknown."""
    rises = [label / np.maximum(one, 1e-6) * METRES for label in (across, down)]
    geometry = _geometry(rises[0], rises[1])
    if geometry is None:
        return []
    return [(geometry.zoom, float(np.median(one[one > 0])),
             float(task.rescale(np.float32(METRES), geometry.zoom)))]


def _not_turned(across: np.ndarray, down: np.ndarray) -> str:
    known = across.any(2) & down.any(2)
    heights = [np.where(known, label[..., 2], 0) for label in (across, down)]
    vectors = across[known]
    if not len(vectors):
        return ''
    rises = [np.where(known, height - 0.2 + 1, 0) for height in heights]
    geometry = _geometry(rises[0], rises[1], 1, 0.7)
    upside_down = np.median(vectors[:, 2]) < 0
    if geometry is None and not upside_down:
        return ''
    x, y = np.median(vectors[:, :2], 0)
    wanted = geometry.turn @ (1, -1) if geometry else np.ones(2)  # y points up in a normal
    angle = np.degrees(np.arctan2(x, y) - np.arctan2(wanted[0], -wanted[1]))
    angle = abs((angle + 180) % 360 - 180)
    if angle <= TURNED and not upside_down:
        return ''
    return ('moves the {name} label without changing its vectors' + (
        f', which are {angle:.0f} degrees off' if not upside_down else '') +
        ': mirroring left to right must change the sign of x, upside down that of y, and a '
        'rotation must rotate the vectors')


def _not_rescaled(name: str, found: Sequence[tuple[float, float, float]]) -> list[str]:
    """Describe a wrong zoom from draws (zoom, found, expected); a constant zoom may be intended."""
    zooms = [zoom for zoom, _, _ in found]
    if not zooms or max(zooms) < (1 + ZOOMED) * min(zooms):
        return []
    wrong = [one for one in found if abs(one[2] / METRES - 1) > ZOOMED
             and abs(one[1] / one[2] - 1) > ZOOMED / 2]
    return [f'zooms at random, and turns a {name} of {METRES:g} into {wrong[0][1]:.2f} at a zoom '
            f'of {wrong[0][0]:.2f}, where {wrong[0][2]:.2f} is right: use '
            "results['tasks'][name].rescale(label, zoom)"] if wrong else []
