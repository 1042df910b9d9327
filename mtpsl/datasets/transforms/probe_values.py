"""Whether transforms of one's own treat the values of the labels right: known labels tell.

A label of one value says what is filled in and what depth becomes, one of known and unknown cells
what is blended. A label that rises from left to right, and one that rises from above to below, say
where each pixel comes from: so how far the picture is zoomed and turned.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.tasks import Task

from .image_only import ImageOnly, package_and_name
from .probe import DRAWS, SIZE, copied, foreign_chain, is_foreign, maps_of, pattern_of, sample_of

METRES = 4.0  # of a depth that is the same all over
ZOOMED = 0.1  # change of a depth by a zoom, from which on it is looked at
TURNED = 3.0  # degrees by which normals may be wrong
KINDS = ('one', 'cells', 'x', 'y')  # of labels that are tried, see _label
POINTS = 2000  # that a change of the geometry is worked out from
STRAY = 1.5  # pixels off the affine map that a change of the geometry may be
Maps = Mapping[str, np.ndarray]


class Geometry(NamedTuple):
    """What became of a picture.

    Attributes:
        zoom: factor by which it was enlarged.
        turn: (2, 2), from directions (x, y) of the picture before, y down, to those of after.
    """

    zoom: float
    turn: np.ndarray


def check_values(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> None:
    """Refuse or warn of transforms that move labels and not what their values mean.

    One that fails on the probe, or moves pixels otherwise than by an affine map, tells nothing.

    Args:
        steps: the transforms of a pipeline, built.
        tasks: task name -> task.

    Raises:
        ValueError: class ids or known and unknown depth are blended, or normals are not turned.
    """
    chain = [step for step in foreign_chain(steps) if not isinstance(step, ImageOnly)]
    names = ', '.join('.'.join(package_and_name(step)) for step in chain if is_foreign(step))
    if not names:
        return
    told: dict[str, None] = {}
    zooms: dict[str, list[tuple[float, float, float]]] = {name: [] for name in tasks}
    for number in range(DRAWS):
        runs = _runs(chain, tasks, number)
        for name, task in tasks.items() if runs else ():
            maps = [run[name] for run in runs if name in run]
            if len(maps) < len(KINDS) or len({one.shape for one in maps}) > 1:
                continue
            one, cells, across, down = maps
            if np.issubdtype(task.label_dtype, np.integer):
                fault = _blended_ids(cells, task)
                told.update(dict.fromkeys(_filled(one, task)))
            elif task.label_channels == 1:
                fault = _blended_depth(one, cells)
                zooms[name] += _zoomed(task, one, across, down)
            else:
                fault = _not_turned(across, down)
            if fault:
                raise ValueError(f'the transform {names} {fault.format(name=name)}')
    for name, found in zooms.items():
        told.update(dict.fromkeys(_not_rescaled(name, found)))
    for text in told:
        print_log(f'the transform {names} {text}', 'current', logging.WARNING)


def _runs(chain: Sequence[Callable], tasks: Mapping[str, Task],
          number: int) -> list[dict[str, np.ndarray]]:
    """The label maps that one draw makes of each kind; none where it tells nothing."""
    one, again = _run(chain, tasks, number, 'one'), _run(chain, tasks, number, 'one')
    across = _run(chain, tasks, number, 'x')
    as_it_is = {name: _label(task, 'x') for name, task in tasks.items()}
    # It fails, or draws otherwise each time, or leaves the labels.
    if not one or not again or not across or not _equal(one, again) or _equal(across, as_it_is):
        return []
    others = [_run(chain, tasks, number, kind) for kind in ('cells', 'y')]
    return [one, others[0], across, others[1]] if others[0] and others[1] else []


def _run(chain: Sequence[Callable], tasks: Mapping[str, Task], number: int,
         kind: str) -> dict[str, np.ndarray] | None:
    """The label maps that come out of one draw; None where a transform fails."""
    results = sample_of(pattern_of(SIZE), {name: _label(task, kind)
                                           for name, task in tasks.items()}, tasks)
    with (seeded(SeededIndex(0, 0, number)), torch.random.fork_rng(devices=[]),
          warnings.catch_warnings()):
        warnings.simplefilter('ignore')
        torch.manual_seed(number)
        for step in chain:
            try:
                results = copied(step, surely=number % 2 == 0)(results)
            except Exception:
                return None
            if not isinstance(results, dict):
                return None
    return maps_of(results)[1]


def _label(task: Task, kind: str) -> np.ndarray:
    """The label map that a draw is tried with."""
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


def _blended_ids(label: np.ndarray, task: Task) -> str:
    numbers = sorted(set(np.unique(label).tolist()) - {0, task.ignore_value})
    return (f'blends the numbers of the {{name}} label: {numbers[0]} came of 0 and '
            f'{task.ignore_value:g}. Ids are resized and turned by the nearest pixel, as '
            "results['tasks'][name].resize does") if numbers else ''


def _filled(label: np.ndarray, task: Task) -> list[str]:
    numbers = sorted(set(np.unique(label).tolist()) - {1, task.ignore_value})
    return [f'writes {numbers[0]} into the {task.name} label where there was nothing of the '
            f'image: unknown is {task.ignore_value:g} there'] if numbers else []


def _blended_depth(one: np.ndarray, cells: np.ndarray) -> str:
    blended = (cells > 0.05 * one) & (cells < 0.95 * one)
    return ('blends known and unknown pixels of the {name} label: 0 is no depth but unknown; '
            "results['tasks'][name].resize takes the nearest pixel") if blended.any() else ''


def _geometry(across: np.ndarray, down: np.ndarray, start: float = METRES,
              span: float = METRES) -> Geometry | None:
    """From two maps that rose by ``span`` over the larger side; None if not affine or stretched."""
    known = (across > start / 2) & (down > start / 2)
    if np.count_nonzero(known) < 0.1 * known.size:
        return None
    rows, columns = np.nonzero(known)
    some = slice(None, None, max(len(rows) // POINTS, 1))
    here = np.stack([columns, rows, np.ones(len(rows))], 1)[some]
    there = (np.stack([across[known], down[known]], 1)[some] - start) / span * max(SIZE)
    for _ in range(3):  # without what is blended at borders
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
    """Zoom, depth found and depth expected of a draw; none where that cannot be told."""
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
    wanted = geometry.turn @ (1, -1) if geometry else np.ones(2)  # y is up in a normal
    angle = np.degrees(np.arctan2(x, y) - np.arctan2(wanted[0], -wanted[1]))
    angle = abs((angle + 180) % 360 - 180)
    if angle <= TURNED and not upside_down:
        return ''
    return ('moves the {name} label without its values' + (
        f', which point {angle:.0f} degrees aside' if not upside_down else '') +
        ': mirrored left to right x changes its sign, upside down y, and where the image is turned '
        'the vectors turn with it')


def _not_rescaled(name: str, found: Sequence[tuple[float, float, float]]) -> list[str]:
    """Of draws (zoom, value found, value expected); a zoom that is always the same may be meant."""
    zooms = [zoom for zoom, _, _ in found]
    if not zooms or max(zooms) < (1 + ZOOMED) * min(zooms):
        return []
    wrong = [one for one in found if abs(one[2] / METRES - 1) > ZOOMED
             and abs(one[1] / one[2] - 1) > ZOOMED / 2]
    return [f'zooms by chance, and of a {name} of {METRES:g} makes {wrong[0][1]:.2f} at a zoom of '
            f"{wrong[0][0]:.2f}, where {wrong[0][2]:.2f} is seen: results['tasks'][name].rescale("
            'label, zoom) says what it becomes'] if wrong else []
