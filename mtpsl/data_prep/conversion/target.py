"""The dataset that a conversion makes: its folder, and a summary of its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from prettytable import PrettyTable

from mtpsl.data_prep.layouts import IMAGE
from mtpsl.system.parallel import run_in_workers


@dataclass(frozen=True)
class Target:
    """The output folder of a conversion.

    Args:
        root: the folder.
        labels: task -> path of its label, as in :mod:`mtpsl.data_prep.layouts`.
        size: height and width of all files.
    """

    root: Path
    labels: Mapping[str, str]
    size: tuple[int, int]

    def paths(self, split: str, number: int) -> dict[str, Path]:
        """Return the files of an image: 'image', then task -> label."""
        return {name: self.root / template.format(split=split, id=number)
                for name, template in {'image': IMAGE, **self.labels}.items()}


@dataclass(frozen=True)
class _Holdings:
    """Sums over the images of a split; shares are of ``pixels``.

    Args:
        pixels: number of pixels of all images.
        per_class: (1 + C,) pixels of unknown class, then of each class.
        depth: smallest and largest known depth; inf and 0 if none is known.
        known: task -> number of pixels with a known label.
        size: bytes of all files.
    """

    pixels: int
    per_class: np.ndarray
    depth: tuple[float, float]
    known: dict[str, int]
    size: int

    def __add__(self, other: '_Holdings') -> '_Holdings':
        return _Holdings(
            self.pixels + other.pixels, self.per_class + other.per_class,
            (min(self.depth[0], other.depth[0]), max(self.depth[1], other.depth[1])),
            {task: count + other.known[task] for task, count in self.known.items()},
            self.size + other.size)


def _load(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f'{path} is damaged ({error}): delete it and run again') from error
    if values.shape != shape or values.dtype != np.float32:
        raise ValueError(f'{path} is {values.shape} of {values.dtype}, not {shape} of float32: '
                         'it is not what a conversion wrote')
    return values


def _measure(target: Target, num_classes: int, item: tuple[str, int]) -> _Holdings:
    """Measure the labels of one image."""
    paths, size = target.paths(*item), target.size
    _load(paths['image'], (*size, 3))
    labels = _load(paths['semseg'], size)
    if not (labels.min() >= -1 and labels.max() < num_classes):  # so that NaN is found too
        raise ValueError(f'{paths["semseg"]} has class ids outside -1..{num_classes - 1}')
    per_class = np.bincount(labels.astype(np.int64).ravel() + 1, minlength=num_classes + 1)
    depth = _load(paths['depth'], (*size, 1))
    depth = depth[depth != 0]
    known = {'depth': depth.size}
    if 'normal' in paths:
        known['normal'] = int(_load(paths['normal'], (*size, 3)).any(-1).sum())
    extent = (float(depth.min()), float(depth.max())) if depth.size else (np.inf, 0.0)
    return _Holdings(labels.size, per_class, extent, known,
                     sum(path.stat().st_size for path in paths.values()))


def summarise(target: Target, classes: tuple[str, ...], counts: Mapping[str, int],
              workers: int) -> str:
    """Make a table of the content of each split, from all files.

    Args:
        target: the dataset.
        classes: names of the classes of 'semseg'.
        counts: split -> number of images.
        workers: processes, at least 1.

    Raises:
        ValueError: a file is damaged or of another size.
        OSError: a file cannot be read.
    """
    items = [(split, number) for split, count in counts.items() for number in range(count)]
    found = run_in_workers(partial(_measure, target, len(classes)), items, workers,
                           'images checked')
    columns = {}
    for split in counts:
        of_split = [one for one, item in zip(found, items) if item[0] == split]
        columns[split] = _column(sum(of_split[1:], of_split[0]), classes, counts[split])
    table = PrettyTable()
    table.add_column('{}x{} pixels'.format(*target.size), list(next(iter(columns.values()))))
    for split, column in columns.items():
        table.add_column(split, list(column.values()))
    table.align = 'r'
    table.align[table.field_names[0]] = 'l'
    return table.get_string()


def _column(total: _Holdings, classes: tuple[str, ...], count: int) -> dict[str, str]:
    """Return row -> text of one split."""
    def share(pixels: int) -> str:
        return f'{100 * pixels / total.pixels:.2f} %'

    rows = {'images': str(count)}
    rows |= {f'class {name}': share(pixels)
             for name, pixels in zip(classes, total.per_class[1:])}
    rows['class unknown'] = share(total.per_class[0])
    rows |= {f'{task} known': share(pixels) for task, pixels in total.known.items()}
    low, high = total.depth
    rows['depth range'] = f'{low:.4g} .. {high:.4g}' if high else '-'
    rows['size'] = f'{total.size / 1e6:.1f} MB'
    return rows
