"""Converts the published Cityscapes to the layout of :mod:`mtpsl.data_prep.layouts`."""

import os
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mtpsl.data_prep import layouts
from mtpsl.system.files import write_array

from .convert import Conversion, Item, convert, digest, pick_nearest, shrink_image
from .target import Target

VERSION = 1  # of the conversion: increase it when the same source gives other files
# First and last id of each class among the official ids 0..33; 0 to 6 are void.
_RANGES = ((7, 10), (11, 16), (17, 20), (21, 22), (23, 23), (24, 25), (26, 33))
# Rare ids: parking, rail track, guard rail, bridge, tunnel, polegroup, caravan, trailer. The
# benchmark of 19 classes leaves them out, as does the later loader of MTAN's author.
RARE = (9, 10, 14, 15, 16, 18, 29, 30)
NAMES = '{split}/names.txt'
IMAGE = 'leftImg8bit/{split}/{name}_leftImg8bit.png'
LABELS = {'gtFine': 'gtFine/{split}/{name}_gtFine_labelIds.png',
          'disparity': 'disparity/{split}/{name}_disparity.png'}


def category_ids(void_rare: bool = False) -> np.ndarray:
    """Return class ids (34,) float32 by official id; -1 for void and, if ``void_rare``, RARE."""
    ids = np.full(34, -1, np.float32)
    for category, (first, last) in enumerate(_RANGES):
        ids[first:last + 1] = category
    if void_rare:
        ids[list(RARE)] = -1
    return ids


def inverse_depth(disparity: np.ndarray) -> np.ndarray:
    """Convert a disparity file to the layout's inverse depth.

    The official formula is d = (p - 1) / 256 pixels for p > 0. The preprocessed archive in
    circulation stores 256 d / 65535 (uint16 / 65535), the unit of absErr in published results.

    Args:
        disparity: uint16 of the file; 0 is unknown.

    Returns:
        float32 in [0, 1], in that archive at most 0.4922; 0 is unknown or infinitely far.
    """
    return (np.maximum(disparity.astype(np.float64) - 1, 0) / 65535).astype(np.float32)


def find_images(source: Path) -> dict[str, list[str]]:
    """Find the images: split -> sorted CITY/NAME, all with labels.

    Raises:
        ValueError: a folder, a split or a label is missing.
    """
    if not source.is_dir():
        hint = ': unpack it and give the folder' if source.is_file() else ''
        raise ValueError(f'{source} is not a folder{hint}')
    found = {}
    for split in layouts.SPLITS:
        pattern = IMAGE.format(split=split, name='*/*')
        suffix = IMAGE.rpartition('{name}')[2]
        found[split] = sorted(f'{path.parent.name}/{path.name.removesuffix(suffix)}'
                              for path in source.glob(pattern)
                              # Some systems add such files when copying.
                              if not path.name.startswith('.'))
        if not found[split]:
            raise ValueError(f'there are no images {source / pattern}; give the folder that holds '
                             'leftImg8bit, gtFine and disparity')
        for kind, template in LABELS.items():
            paths = (source / template.format(split=split, name=name) for name in found[split])
            missing = [path for path in paths if not path.is_file()]
            if missing:
                raise ValueError(f'{kind} is missing for {len(missing)} of the '
                                 f'{len(found[split])} images of {split}; the first is '
                                 f'{missing[0]}')
    return found


def _read(path: Path, modes: tuple[str, ...], wanted: str) -> np.ndarray:
    """Read the pixels of a PNG file that has one of the given Pillow modes."""
    # Not OpenCV, which fills the rest of a truncated file without an error.
    try:
        with Image.open(path, formats=('PNG',)) as image:
            mode, pixels = image.mode, np.asarray(image)
    # Pillow raises these for damaged files; only its text tells an OSError of the disk.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f'cannot read {path}, it is truncated or no PNG file: {error}') from error
    if mode not in modes:
        raise ValueError(f'{path} has pixels of mode {mode}, not {wanted}')
    return pixels


def convert_image(source: Path, target: Target, void_rare: bool, item: Item) -> None:
    """Write the three files of one image.

    Args:
        source: folder of the published files.
        target: output folder.
        void_rare: see :func:`category_ids`.
        item: the image; ``source`` is CITY/NAME.

    Raises:
        ValueError: a file cannot be read, is of another kind or size, or has an invalid id.
    """
    paths = {kind: source / template.format(split=item.split, name=item.source)
             for kind, template in dict(LABELS, image=IMAGE).items()}
    image = _read(paths['image'], ('RGB',), '8-bit RGB')
    labels = _read(paths['gtFine'], ('L',), '8-bit grey')
    disparity = _read(paths['disparity'], ('I;16', 'I;16B', 'I'), '16-bit grey')
    for kind, pixels in (('gtFine', labels), ('disparity', disparity)):
        if pixels.shape != image.shape[:2]:
            raise ValueError(f'{paths[kind]} is {pixels.shape[0]}x{pixels.shape[1]}, its image '
                             f'{image.shape[0]}x{image.shape[1]}')
    ids = category_ids(void_rare)
    if labels.max() >= len(ids):
        raise ValueError(f'{paths["gtFine"]} has id {labels.max()}; there are 0 to {len(ids) - 1}')
    arrays = (shrink_image(image, target.size), pick_nearest(ids[labels], target.size),
              pick_nearest(inverse_depth(disparity), target.size)[..., None])
    for path, values in zip(target.paths(item.split, item.id).values(), arrays):
        write_array(path, values)


def plan_cityscapes(images: dict[str, list[str]], target: Target, void_rare: bool) -> Conversion:
    """Plan a conversion, see :func:`convert_cityscapes`."""
    settings: dict[str, str | int] = {
        'dataset': 'Cityscapes', 'conversion_version': VERSION,
        **{f'num_{split}': len(names) for split, names in images.items()},
        'names': digest(str(images)), 'height': target.size[0], 'width': target.size[1]}
    if void_rare:  # older conversions lack this setting
        settings['void_ids'] = ' '.join(map(str, RARE))
    items = [Item(split, number, name) for split, names in images.items()
             for number, name in enumerate(names)]
    texts = {NAMES.format(split=split): ''.join(f'{name}\n' for name in names)
             for split, names in images.items()}
    return Conversion(target, settings, layouts.CITYSCAPES_CLASSES, items, texts)


def convert_cityscapes(source: str | os.PathLike[str], root: str | os.PathLike[str],
                       workers: int | None = None, size: tuple[int, int] = (128, 256),
                       void_rare: bool = False) -> int:
    """Convert Cityscapes into ``root``; an interrupted conversion is resumed.

    For the unit of depth see :func:`inverse_depth`. ``names.txt`` of a split lists the names of its
    images in the source.

    Args:
        source: folder with ``leftImg8bit``, ``gtFine`` and ``disparity``.
        root: output folder: absent, empty, or of an earlier call with the same settings.
        workers: processes, at least 1; ``None`` for one per core.
        size: height and width of all files.
        void_rare: whether to mark eight rare ids as unknown although they have a category.

    Returns:
        Number of images converted, 0 if all existed.

    Raises:
        ValueError: a source file is invalid, or ``root`` has other content.
        OSError: a file cannot be written.
        BrokenProcessPool: a worker died.
    """
    source, target = Path(source), Target(Path(root), layouts.CITYSCAPES, size)
    plan = plan_cityscapes(find_images(source), target, void_rare)
    return convert(plan, partial(convert_image, source, target, void_rare),
                   os.cpu_count() or 1 if workers is None else workers)
