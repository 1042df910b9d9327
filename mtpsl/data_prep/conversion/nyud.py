"""Converts the published NYU Depth v2 to the layout of :mod:`mtpsl.data_prep.layouts`."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mtpsl.data_prep import layouts
from mtpsl.system.files import write_array

from .convert import Conversion, Item, convert, digest, pick_nearest, shrink_image
from .matlab import (
    cache_for_one,
    close_hdf5,
    find_array,
    read_numbers,
    read_slice,
    read_strings,
)
from .normals import RADIUS, Intrinsics, normals_from_depth
from .nyud_classes import class_ids, class_table, format_class_table, read_class_table
from .target import Target

VERSION = 1  # of the conversion: increase it when the same source gives other files
DEPTHS = ('depths', 'rawDepths')
CLASS_TABLE = 'classes.csv'
NUMBERS = '{split}/numbers.txt'
# The RGB camera, to which depth maps are registered, calibrated at 640x480 pixels; published with
# the first pixel at (1, 1).
_FULL_SIZE = (480, 640)
_CAMERA = Intrinsics(518.85790117450188, 519.46961112127485, 325.58244941119034 - 1,
                     253.73616633400465 - 1)


@dataclass(frozen=True)
class LabelledFile:
    """The file ``nyu_depth_v2_labeled.mat`` after checks.

    Args:
        path: the file.
        count: number of images.
        size: height and width of the images.
        names: raw names of the labels, from label 1 on.
        cache: bytes of chunk cache per variable, for reading images in order.
    """

    path: Path
    count: int
    size: tuple[int, int]
    names: tuple[str, ...]
    cache: int


def inspect(path: Path) -> LabelledFile:
    """Run the cheap checks of the .mat file.

    Raises:
        ValueError: it is another file.
    """
    images = find_array(path, 'images', (None, 3, None, None), 'uint8')
    count, _, width, height = images.shape
    if not images.size:
        raise ValueError(f"{path}: variable 'images' is empty")
    used = [images, find_array(path, 'labels', (count, width, height), 'integers'),
            *(find_array(path, name, (count, width, height), 'floats') for name in DEPTHS)]
    return LabelledFile(path, count, (height, width), tuple(read_strings(path, 'names')),
                        max(map(cache_for_one, used)))


def read_splits(path: Path, count: int) -> dict[str, list[int]]:
    """Read split -> numbers of its images, from 1, in the order of ``splits.mat``.

    Raises:
        ValueError: the file is invalid, or does not fit ``count`` images.
    """
    variables = ('trainNdxs', 'testNdxs')
    found = [values.tolist() for values in read_numbers(path, variables)]
    for name, numbers in zip(variables, found):
        if not numbers:
            raise ValueError(f'{path}: variable {name!r} is empty')
        outside = [number for number in numbers if not 1 <= number <= count]
        if outside:
            raise ValueError(f'{path}: variable {name!r} has {outside[0]}, but the images are '
                             f'1 to {count}')
        if len(set(numbers)) < len(numbers):
            raise ValueError(f'{path}: variable {name!r} has a number twice')
    both = set(found[0]) & set(found[1])
    if both:
        raise ValueError(f'{path}: image {min(both)} is in trainNdxs and in testNdxs')
    return dict(zip(layouts.SPLITS, found))


def camera_for(size: tuple[int, int]) -> Intrinsics:
    """Scale the RGB camera to another height and width."""
    down, across = (new / full for new, full in zip(size, _FULL_SIZE))
    # Scaling keeps the picture's corner, which is at (-0.5, -0.5).
    return Intrinsics(_CAMERA.fx * across, _CAMERA.fy * down,
                      (_CAMERA.cx + 0.5) * across - 0.5, (_CAMERA.cy + 0.5) * down - 0.5)


def window_radius(size: tuple[int, int]) -> int:
    """Scale the radius of the windows for normals to another height and width."""
    return max(2, round(RADIUS * size[0] / _FULL_SIZE[0]))


def _known_depth(depth: np.ndarray) -> np.ndarray:
    """Convert depth to float32 metres, 0 if unknown."""
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


def convert_image(source: LabelledFile, ids: np.ndarray, depth_kind: str, target: Target,
                  item: Item) -> None:
    """Write the four files of one image.

    Args:
        source: the .mat file.
        ids: (1 + names,) class id of each raw label.
        depth_kind: variable of the depth.
        target: output folder.
        item: the image; ``source`` is its index in the .mat file, from 0.

    Raises:
        ValueError: the image cannot be read, or has a label without a name.
    """
    index = int(item.source)
    image, labels, filled, raw = (
        read_slice(source.path, name, index, source.cache)
        for name in ('images', 'labels', *DEPTHS))
    if labels.min() < 0 or labels.max() >= len(ids):
        raise ValueError(f'{source.path}: image {index + 1} has labels {labels.min()} to '
                         f'{labels.max()}, but there are {len(ids) - 1} names')
    filled, raw = _known_depth(filled), _known_depth(raw)
    # Exclude in-painted depth, a guess, both as pixels and as neighbours.
    normal = normals_from_depth(filled, camera_for(source.size), raw > 0,
                                window_radius(source.size))
    size = target.size
    arrays = (shrink_image(image, size), pick_nearest(ids[labels], size),
              pick_nearest(filled if depth_kind == 'depths' else raw, size)[..., None],
              pick_nearest(normal, size))
    for path, values in zip(target.paths(item.split, item.id).values(), arrays):
        write_array(path, values)


def plan_nyud(source: LabelledFile, splits: dict[str, list[int]], table: dict[str, str],
              target: Target, depth: str) -> Conversion:
    """Plan a conversion, see :func:`convert_nyud`."""
    texts = {NUMBERS.format(split=split): ''.join(f'{number}\n' for number in numbers)
             for split, numbers in splits.items()}
    texts[CLASS_TABLE] = format_class_table(table)
    settings: dict[str, str | int] = {
        'dataset': 'NYUD', 'conversion_version': VERSION, 'source': source.path.name,
        'source_bytes': source.path.stat().st_size, 'depth': depth,
        'class_table': digest(texts[CLASS_TABLE]),
        **{f'num_{split}': len(numbers) for split, numbers in splits.items()},
        'numbers': digest(str(splits)), 'height': target.size[0],
        'width': target.size[1]}
    items = [Item(split, index, number - 1) for split, numbers in splits.items()
             for index, number in enumerate(numbers)]
    # In the file's order: a chunk may hold many images and is decompressed as a whole.
    items.sort(key=lambda item: item.source)
    return Conversion(target, settings, layouts.NYUD_CLASSES, items, texts)


def convert_nyud(mat: str | os.PathLike[str], splits: str | os.PathLike[str],
                 root: str | os.PathLike[str], workers: int | None = None,
                 size: tuple[int, int] = (288, 384), depth: str = 'depths',
                 table: str | os.PathLike[str] | None = None) -> int:
    """Convert NYU Depth v2 into ``root``; an interrupted conversion is resumed.

    Depth is in metres. Normals are fitted to the in-painted depth at full size, and known where the
    sensor measured. ``numbers.txt`` of a split lists the numbers of its images in the .mat file,
    from 1; ``classes.csv`` lists the class of each raw label.

    Args:
        mat: ``nyu_depth_v2_labeled.mat``.
        splits: ``splits.mat``.
        root: output folder: absent, empty, or of an earlier call with the same settings.
        workers: processes, at least 1; ``None`` for one per core.
        size: height and width of all files.
        depth: 'depths', in-painted, or 'rawDepths', the sensor's, with holes.
        table: CSV file of classes, see :func:`read_class_table`; ``None`` for the standard ones.

    Returns:
        Number of images converted, 0 if all existed.

    Raises:
        ValueError: a source file or an argument is invalid, or ``root`` has other content.
        OSError: a file cannot be read or written.
        BrokenProcessPool: a worker died.
    """
    if depth not in DEPTHS:
        raise ValueError(f'depth must be one of {", ".join(DEPTHS)}, got {depth!r}')
    try:
        source = inspect(Path(mat))
        numbers = read_splits(Path(splits), source.count)
        replaced = {} if table is None else read_class_table(Path(table))
        classes = class_table(source.names, replaced)
        target = Target(Path(root), layouts.NYUD, size)
        plan = plan_nyud(source, numbers, classes, target, depth)
        write = partial(convert_image, source, class_ids(source.names, classes), depth, target)
        return convert(plan, write, os.cpu_count() or 1 if workers is None else workers)
    finally:
        close_hdf5()
