"""Photographs: which files are some, and how they are to be turned."""

import importlib
import os
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from mtpsl.tasks import Task

IMAGE_SUFFIXES = ('jpg', 'jpeg', 'jpe', 'jfif', 'png', 'bmp', 'dib', 'tif', 'tiff', 'webp', 'npy',
                  'gif', 'avif', 'jp2', 'mpo', 'pgm', 'ppm', 'pnm', 'qoi', 'tga')
HEIF_SUFFIXES = ('heic', 'heif', 'hif')  # read with a package of their own
HEIF_ADVICE = 'install pillow-heif (pip install pillow-heif), or save them as jpg or png'
# Other files that lie among images and are meant for none.
COMPANIONS = ('aae', 'csv', 'db', 'ini', 'json', 'log', 'md', 'py', 'txt', 'xml', 'xmp', 'yaml',
              'yml')
LIES = ('stored', 'upright')  # how a dataset takes its photographs
# EXIF orientation -> whether the stored picture is to be transposed, then mirrored left to right,
# then upside down, to lie as a person sees it.
TURNS = {1: (False, False, False), 2: (False, True, False), 3: (False, True, True),
         4: (False, False, True), 5: (True, False, False), 6: (True, True, False),
         7: (True, True, True), 8: (True, False, True)}


@cache
def reads_heif() -> bool:
    """Whether HEIC files can be read; makes Pillow do so."""
    try:
        importlib.import_module('pillow_heif').register_heif_opener()
    except ImportError:
        return False
    return True


def why_left_out(suffix: str) -> str:
    """Why files of a suffix (in small letters) are no images here; '' of those that are or may be
    left without a word.
    """
    if suffix in IMAGE_SUFFIXES or suffix in COMPANIONS or not suffix:
        return ''
    if suffix in HEIF_SUFFIXES:
        return '' if reads_heif() else HEIF_ADVICE
    return 'save them as jpg or png if they are images'


def is_image(suffix: str) -> bool:
    """Whether files of a suffix (in small letters) are taken for images."""
    return suffix in IMAGE_SUFFIXES or suffix in HEIF_SUFFIXES and reads_heif()


def refuse_special(path: str) -> None:
    """Raise ValueError of a path that is no regular file, such as a pipe: reading it may hang."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError('it is a folder' if os.path.isdir(path) else
                         'it is no regular file but a pipe, a socket or a device')


def turn(pixels: np.ndarray, turns: tuple[bool, bool, bool],
         transpose: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels.swapaxes(0, 1),
         flip: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels[:, ::-1]) -> np.ndarray:
    """Turn an image (H, W, ...) by an entry of ``TURNS``; labels by their task's two methods."""
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
    """A ``decode`` whose map lies as the photograph does that was turned by ``orientation``.

    Args:
        decode: see :class:`~mtpsl.datasets.partial_label.LabelSource`.
        task: whose map it is.
        orientation: of the photograph, not 1.
        stored: what the label was drawn on where its size does not tell: the stored picture, else
            the upright one.
        fits: whether a label of one (H, W) is one of an image of the other.
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
