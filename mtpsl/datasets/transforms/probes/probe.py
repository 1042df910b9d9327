"""Test on a pattern whether user transforms keep the labels aligned with the image.

Sizes do not reveal a mirrored image. So each pipeline with transforms of other packages is run
when it is built, on an image of light and dark cells and label maps of the same cells.
"""

import copy
import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import cv2
import numpy as np

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms.formatting import PackMultiTaskInputs, unlike_sizes
from mtpsl.datasets.transforms.image_only import ImageOnly, package_and_name
from mtpsl.datasets.transforms.loading import LoadLabels
from mtpsl.tasks import Task

PROBE = 'probe'  # in the place of the name of an image
CELL = 6  # pixels of the pattern's cells
SIZE, DRAWS = (120, 168), 24
ODD_SIZE = (121, 167)  # of the later draws: a crop may be right for even sides only
FRAMED, FRAME = (4, 5, DRAWS - 2, DRAWS - 1), 14  # draws with black bars, and their pixels
LARGE, LARGE_DRAWS = (1110, 1302), 2  # a fixed-size crop may change only a large image
LEAST_CELL = 2.5  # pixels; smaller cells cannot be told from noise
PARTS = 8  # of a side of an image that are looked at
CLEARLY = 0.9  # correlation of a part that is the pattern or its negative
MATCH = 0.3  # least correlation of aligned image and labels, even blurred or noisy
LEVELS = 6
# Unit vectors of the two kinds of cells.
VECTORS = np.array([[0.36, 0.48, 0.8], [0.6, 0.48, 0.64]], np.float32)


def check_geometry(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> None:
    """Raise ValueError if a transform moves the image without its labels, or the reverse.

    Transforms of this package, mmcv and mmseg are not tested, see :mod:`.contract`. A transform
    that fails on the pattern, such as a reader of files, is ignored.

    Args:
        steps: the built transforms of a pipeline.
        tasks: task name -> task.
    """
    chain = foreign_chain(steps)
    # Rare random changes are forced in every second draw. The copies go through all draws, as a
    # transform that mixes images with earlier ones needs.
    copies = [[copied(step, surely) for step in chain] for surely in (True, False)]
    for number in range(DRAWS + LARGE_DRAWS) if chain else ():
        size = LARGE if number >= DRAWS else SIZE if number < DRAWS // 2 else ODD_SIZE
        framed = number in FRAMED
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            _try(copies[number % 2], tasks, pattern_of(size, number // 2 % 2), framed)


def faulty_name(steps: Sequence[Callable], tasks: Mapping[str, Task],
                names: Callable[[], Sequence[tuple[str, str]]]) -> tuple[str, str]:
    """Find an image by whose name the image, or its labels, would be moved alone.

    Args:
        steps: the built transforms of a pipeline that :func:`check_geometry` has accepted.
        tasks: task name -> task.
        names: gives ids and paths of images. Both get ``.probe`` at their ends, so that no file is
            read and nothing is kept by the name of an image.

    Returns:
        Its id and what is wrong; '' and '' if there is none.
    """
    chain = [copied(step) for step in foreign_chain(steps)]
    for number, (image_id, path) in enumerate(names() if chain else ()):
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            stem, suffix = os.path.splitext(path)
            try:
                _try(chain, tasks, pattern_of(SIZE, number % 2), False, dict(
                    img_id=f'{image_id}.{PROBE}', img_path=f'{stem}.{PROBE}{suffix}'))
            except ValueError as fault:
                return image_id, str(fault)
    return '', ''


def foreign_chain(steps: Sequence[Callable]) -> list[Callable]:
    """Return the foreign transforms with the readers and packing; empty if there are none.

    Random transforms of this package are left out: they would hide the effect of the others.
    """
    if not any(map(is_foreign, steps)):
        return []
    return [step for step in steps
            if is_foreign(step) or isinstance(step, (LoadLabels, PackMultiTaskInputs))]


def is_foreign(step: Callable) -> bool:
    """Return whether a transform is neither of this package nor a colour transform of mm."""
    return isinstance(step, ImageOnly) or package_and_name(step)[0] not in ('mtpsl', 'mmcv',
                                                                             'mmseg')


def copied(step: Callable, surely: bool = False) -> Callable:
    """Copy a transform, to keep its state unchanged; ``surely`` sets its probability to 1."""
    try:
        step = copy.deepcopy(step)
    except Exception:  # it cannot be copied
        return step
    inside = [step]
    while surely and inside:
        part = inside.pop()
        for name in ('p', 'prob'):
            value = getattr(part, name, None)
            if isinstance(value, float) and 0 < value < 1:
                setattr(part, name, 1.0)
        nested = getattr(part, 'transforms', ())
        inside += nested if isinstance(nested, (list, tuple)) else [nested]
    return step


def pattern_of(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return (H, W) cells of -1 and 1 that resemble no moved or turned version of themselves."""
    cells = np.random.default_rng(seed).integers(0, 2, [-(-side // CELL) for side in size], np.int8)
    return np.kron(cells * 2 - 1, np.ones((CELL, CELL), np.int8))[:size[0], :size[1]]


def label_of(pattern: np.ndarray, task: Task) -> np.ndarray:
    """Return the pattern as a label map of a task."""
    high = pattern > 0
    if np.issubdtype(task.label_dtype, np.integer):
        return high.astype(task.label_dtype)
    if task.label_channels == 3:
        return VECTORS[high.astype(int)]
    label: np.ndarray = np.where(high, 1, 0.5).astype(task.label_dtype)
    return label if task.label_channels == 1 else label[..., None].repeat(task.label_channels, 2)


def _seen(label: np.ndarray) -> np.ndarray:
    """Recover the pattern from a label map, (H, W) float32: -1, 1, or 0 where unknown."""
    if np.issubdtype(label.dtype, np.integer):
        return (label == 1).astype(np.float32) - (label == 0)
    values = label if label.ndim == 2 else label[..., -1]
    known = np.isfinite(values) & (values > 0)
    middle = (values[known].min() + values[known].max()) / 2 if known.any() else 0
    return np.where(known, np.sign(values - middle), 0).astype(np.float32)


def _given(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Act as a ``decode`` that opens no file."""
    return label


def sample_of(pattern: np.ndarray, labels: dict[str, np.ndarray],
              tasks: Mapping[str, Task]) -> dict:
    """Return an initial pipeline sample whose image is the pattern."""
    shape = pattern.shape
    return dict(
        img=np.uint8(110 + 60 * pattern)[..., None].repeat(3, 2), img_shape=shape, ori_shape=shape,
        img_id=PROBE, img_path=PROBE, tasks=tasks, skipped=(), gt=labels, view=0, zoom=None,
        labels={name: ((), partial(_given, label)) for name, label in labels.items()})


def maps_of(results: dict) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return image and label maps, (H, W) or (H, W, C), of a packed or unpacked sample."""
    if 'data_samples' not in results:
        return results['img'], results.get('gt', {})
    return results['inputs'].permute(1, 2, 0).numpy(), {
        name: (label[0] if len(label) == 1 else label.permute(1, 2, 0)).numpy()
        for name, label in sorted(results['data_samples'].gt.items())}


def equal_maps(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Return whether two calls have given the same maps."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _try(steps: Sequence[Callable], tasks: Mapping[str, Task], pattern: np.ndarray,
         framed: bool, name: Mapping[str, str] = MappingProxyType({})) -> None:
    labels = {name: label_of(pattern, task) for name, task in tasks.items()}
    results = sample_of(pattern, labels, tasks) | dict(name)
    if framed:
        results['img'][:FRAME] = results['img'][-FRAME:] = 0
    fault, culprit = '', steps[0]
    for step in steps:
        before = results | dict(gt=dict(results['gt'])) if 'gt' in results else results
        try:
            after = step(dict(before))
        except Exception:
            if isinstance(step, LoadLabels):  # labels of other sizes: reading reports them
                return
            continue
        if not isinstance(after, dict):
            break
        results = after
        found = fault_of(results, pattern)
        if found and not fault:  # a later transform may move the rest as well
            culprit = step
        fault = found
    if fault:
        raise ValueError(f'the transform {".".join(package_and_name(culprit))} {fault}. A '
                         "transform that moves the image must move every map of results['gt'] too")


def fault_of(results: dict, pattern: np.ndarray) -> str:
    """Describe how image and labels are misaligned; '' if they are not."""
    image, maps = maps_of(results)
    unlike = unlike_sizes(image, maps)
    if unlike:
        return f'leaves {unlike}'
    if pattern.shape == LARGE:
        return ''
    grey = np.float32(image if image.ndim == 2 else image.mean(2))
    moved, checked = [], None
    for name, label in maps.items():
        seen = _seen(label)
        if checked is None or not np.array_equal(seen, checked):
            apart = _apart(grey, seen)
        checked = seen
        if apart:
            moved.append(name)
    if moved:
        return f'misaligns image and labels ({", ".join(moved)}): it changes one of them only'
    return ''


def _apart(image: np.ndarray, pattern: np.ndarray) -> bool:
    """Return whether the cells of an image, (H, W) float32, and of a label map do not match."""
    changes = np.mean(pattern[:, 1:] != pattern[:, :-1])
    cell = 0.5 / changes if changes else np.inf
    if not LEAST_CELL <= cell <= min(pattern.shape) / 6 or not np.ptp(image) > 0:
        return False
    radius, near = max(round(cell * 0.75), 3), max(round(cell / CELL), 1)
    centre = slice(radius - near, radius + near + 1)
    here, best = [], []
    for rows, columns in _blocks(pattern.shape, round(12 * cell), radius):
        part = image[rows.start - radius:rows.stop + radius,
                     columns.start - radius:columns.stop + radius]
        if np.ptp(part) > 1e-3 * np.ptp(image) and np.ptp(pattern[rows, columns]):
            found = np.abs(np.nan_to_num(cv2.matchTemplate(
                np.ascontiguousarray(part), np.ascontiguousarray(pattern[rows, columns]),
                cv2.TM_CCOEFF_NORMED)))
            here.append(found[centre, centre].max())
            best.append(found.max())
    if not here:
        return False
    elsewhere = sum(peak > 0.5 and match < 0.8 * peak for match, peak in zip(here, best))
    return elsewhere >= min(2, len(here)) or max(np.median(here), _told(image, pattern)) < MATCH


def cell_signs(image: np.ndarray, labels: Mapping[str, np.ndarray]) -> Iterator[int]:
    """Whether an image's cells are light (1) or dark (-1) where its label's are high, else 0.

    Yields one for each of some parts of 4 x 4 cells that clearly shows it. What is noisy, painted
    over or unknown shows nothing. Labels that are alike count once.

    Args:
        image: (H, W) or (H, W, C), a pattern that was changed.
        labels: task name -> its label map, (H, W) or (H, W, C).
    """
    grey = np.float32(image if image.ndim == 2 else image.mean(2))
    for seen in {map_.tobytes(): map_ for map_ in map(_seen, labels.values())}.values():
        changes = np.mean(seen[:, 1:] != seen[:, :-1]) if seen.shape == grey.shape else 0
        side = 4 * round(0.5 / changes) if changes > 0 else 0
        if side < 4 * LEAST_CELL or side > min(seen.shape):
            continue
        rows, columns = (range(0, length - side + 1, max(side // 4, (length - side) // PARTS))
                         for length in seen.shape)
        for top, left in itertools.product(rows, columns):
            part = np.s_[top:top + side, left:left + side]
            if seen[part].all() and np.ptp(seen[part]) and np.ptp(grey[part]):
                yield from _sign(grey[part], seen[part])


def _sign(grey: np.ndarray, seen: np.ndarray) -> Iterator[int]:
    match = np.corrcoef(grey.ravel(), seen.ravel())[0, 1]
    shade = (grey - grey.min()) / np.ptp(grey)
    if abs(match) > CLEARLY:
        yield int(np.sign(match))
    elif (abs(match) < MATCH and np.mean(np.abs(shade - 0.5) > 0.4) > CLEARLY
          and 0.25 < np.mean(shade > 0.5) < 0.75):  # other cells than the label's
        yield 0


def _told(image: np.ndarray, pattern: np.ndarray) -> float:
    """Return how well the grey of a pixel predicts its cell, 0 to 1: the correlation ratio.

    Unlike a correlation it tolerates large painted-over parts and inverted greys.
    """
    level = ((image - image.min()) / np.ptp(image) * (LEVELS - 1e-3)).astype(int).ravel()
    pixels, sums = (np.bincount(level, weights, LEVELS) for weights in (None, pattern.ravel()))
    return float(np.sqrt((sums ** 2 / np.maximum(pixels, 1)).sum() / level.size))


def _blocks(shape: Sequence[int], side: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Iterate over up to 3 x 3 rectangles of at most ``side``, ``margin`` away from the border."""
    def parts(length: int) -> list[slice]:
        number = min(max((length - 2 * margin) // (side // 2), 1), 3)
        bounds = np.linspace(margin, length - margin, number + 1).astype(int)
        return [slice((low + high - min(high - low, side)) // 2,
                      (low + high + min(high - low, side)) // 2)
                for low, high in zip(bounds, bounds[1:])]
    return ((rows, columns) for rows in parts(shape[0]) for columns in parts(shape[1]))
