"""Image files: suffixes that can be read, and EXIF orientation."""

import importlib
import os
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from mtpsl.tasks import Task

IMAGE_SUFFIXES = ('jpg', 'jpeg', 'jpe', 'jfif', 'png', 'bmp', 'dib', 'tif', 'tiff', 'webp', 'npy',
                  'gif', 'avif', 'jp2', 'mpo', 'pgm', 'ppm', 'pnm', 'qoi', 'tga')
HEIF_SUFFIXES = ('heic', 'heif', 'hif')  # need the package pillow-heif
HEIF_ADVICE = 'install pillow-heif (pip install pillow-heif), or save them as jpg or png'
# Suffixes of files that often lie among images and are none.
COMPANIONS = ('aae', 'csv', 'db', 'ini', 'json', 'log', 'md', 'py', 'txt', 'xml', 'xmp', 'yaml',
              'yml')
COMPANION_NAMES = ('changelog', 'checksums', 'copying', 'licence', 'license', 'makefile', 'md5sums',
                   'readme', 'sha256sums')  # likewise, without a suffix
ORIENTATIONS = ('stored', 'upright')  # orientations in which a dataset can use its images
# EXIF orientation -> whether to transpose the stored picture, then mirror it left to right, then
# flip it upside down, to show it upright.
TURNS = {1: (False, False, False), 2: (False, True, False), 3: (False, True, True),
         4: (False, False, True), 5: (True, False, False), 6: (True, True, False),
         7: (True, True, True), 8: (True, False, True)}


@cache
def reads_heif() -> bool:
    """Return whether HEIC files can be read, and register the HEIF reader with Pillow."""
    try:
        importlib.import_module('pillow_heif').register_heif_opener()
    except ImportError:
        return False
    return True


def why_left_out(suffix: str) -> str:
    """Return why files of a lower-case suffix are not read as images; '' if no reason is needed.

    Args:
        suffix: '' where a name has none, unless it is one of ``COMPANION_NAMES``.
    """
    if suffix in IMAGE_SUFFIXES or suffix in COMPANIONS:
        return ''
    if not suffix:
        return 'their names need a suffix, such as .jpg or .png, if they are images'
    if suffix in HEIF_SUFFIXES:
        return '' if reads_heif() else HEIF_ADVICE
    return 'save them as jpg or png if they are images'


def is_image(suffix: str) -> bool:
    """Return whether files of a lower-case suffix are read as images."""
    return suffix in IMAGE_SUFFIXES or suffix in HEIF_SUFFIXES and reads_heif()


def refuse_special(path: str) -> None:
    """Raise ValueError if a path is no regular file, such as a pipe: reading it may hang."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError('it is a folder' if os.path.isdir(path) else
                         'it is not a regular file (a pipe, a socket or a device)')


def turn(pixels: np.ndarray, turns: tuple[bool, bool, bool],
         transpose: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels.swapaxes(0, 1),
         flip: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels[:, ::-1]) -> np.ndarray:
    """Turn an image (H, W, ...) by an entry of ``TURNS``; for labels pass the task's methods."""
    transposed, mirrored, overturned = turns
    if transposed:
        pixels = transpose(pixels)
    if mirrored:
        pixels = flip(pixels)
    if overturned:
        pixels = transpose(flip(transpose(pixels)))
    return np.ascontiguousarray(pixels)


def turned_decode(decode: Callable[..., np.ndarray], task: Task, orientation: int, stored: bool,
                  fits: Callable[[Sequence[int], Sequence[int]], bool],
                  ) -> Callable[..., np.ndarray]:
    """Wrap ``decode`` to return a map in the orientation of an image turned by ``orientation``.

    Args:
        decode: see :class:`~mtpsl.datasets.partial_label.LabelSource`.
        task: task of the map.
        orientation: EXIF orientation of the image, not 1.
        stored: whether the label has the stored orientation where its size cannot tell; otherwise
            it is upright.
        fits: whether a label of one (H, W) can belong to an image of another (H, W).
    """
    def decode_turned(size: tuple[int, int], *contents: object) -> np.ndarray:
        label = decode(size, *contents)
        before = size[::-1] if TURNS[orientation][0] else size
        upright, as_stored = fits(label.shape[:2], size), fits(label.shape[:2], before)
        if not upright and not as_stored:
            raise ValueError(
                f'wrong size {" x ".join(map(str, label.shape[:2]))}; the photo is {size[0]} x '
                f'{size[1]} as it is shown, {before[0]} x {before[1]} as it is stored (EXIF '
                f'orientation {orientation})')
        if not as_stored or upright and not stored:
            return label
        return turn(label, TURNS[orientation], task.transpose, task.flip)
    return decode_turned
