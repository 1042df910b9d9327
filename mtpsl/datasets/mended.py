"""Values of arrays that are a little out of their range: mended, and said once.

The readers of the published code check nothing, so that an archive with such values trains there.
"""

import logging

import numpy as np
from mmengine.logging import print_log

from mtpsl.tasks.normal import LONGEST

OVERSHOOT = 0.5  # of an image in [0, 1]: what a sharp resampling gives, not another scale
TOO_LONG = 2.0  # of a normal; longer ones are of another scale
_said: set[str] = set()


def clip_image(pixels: np.ndarray, path: str) -> np.ndarray:
    """An image of floats with what lies a little outside of [0, 1] clipped; others as they are."""
    if pixels.dtype.kind != 'f' or not pixels.size:
        return pixels
    low, high = pixels.min(), pixels.max()
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT and (low < -1e-3 or high > 1 + 1e-3):
        say_once('image', path, f'values from {low:g} to {high:g} are clipped to [0, 1]')
        return pixels.clip(0, 1)
    return pixels


def shorten_normals(normals: np.ndarray, path: str) -> np.ndarray:
    """Vectors (H, W, 3) that are too long as unit ones, those with NaN unknown.

    Left as they are, to be refused: what is coded as colours, without any negative component, or
    of another scale.
    """
    if normals.dtype.kind != 'f' or normals.ndim != 3:
        return normals
    broken = ~np.isfinite(normals).all(2, keepdims=True)
    if broken.any() and not broken.all():
        say_once('normal, NaN', path, f'{broken.sum()} vectors that are not finite are unknown')
        normals = np.where(broken, 0, normals)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    if LONGEST < length.max(initial=0) <= TOO_LONG and normals.min() < 0:
        say_once('normal', path, f'vectors of length up to {length.max():.3g} are shortened to 1')
        normals = normals / np.maximum(length, 1)
    return normals


def drop_broken(values: np.ndarray, path: str) -> np.ndarray:
    """A map of depth in which some values are not finite: these are unknown, 0."""
    if values.dtype.kind != 'f':
        return values
    broken = ~np.isfinite(values)
    if broken.any() and not broken.all():
        say_once('depth', path, f'{broken.sum()} values that are not finite are unknown')
        return np.where(broken, 0, values)
    return values


def say_frames(path: str) -> None:
    """That of an image file with several frames or pages the first is read."""
    say_once('frames', path, 'it has several frames or pages, and the first is read; others can '
              'be given as arrays')


def say_once(kind: str, path: str, text: str) -> None:
    """A warning for the first file of a kind in this process; another kind has one of its own."""
    if kind not in _said:
        _said.add(kind)
        print_log(f'{path}: {text}; of other files with such values nothing is said', 'current',
                  logging.WARNING)
