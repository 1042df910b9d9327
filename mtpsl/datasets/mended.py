"""Repair array values that are slightly out of range, with one warning.

The published readers do not check values, so that archives with such values work there.
"""

import logging

import numpy as np
from mmengine.logging import print_log

from mtpsl.tasks.normal import LONGEST

OVERSHOOT = 0.5  # beyond [0, 1]: overshoot of a sharp resampling filter, not another scale
TOO_LONG = 2.0  # length of a normal; longer ones have another scale
_said: set[str] = set()


def clip_image(pixels: np.ndarray, path: str) -> np.ndarray:
    """Clip float images slightly outside [0, 1]; return other images unchanged."""
    if pixels.dtype.kind != 'f' or not pixels.size:
        return pixels
    low, high = pixels.min(), pixels.max()
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT and (low < -1e-3 or high > 1 + 1e-3):
        say_once('image', path, f'values from {low:g} to {high:g} are clipped to [0, 1]')
        return pixels.clip(0, 1)
    return pixels


def shorten_normals(normals: np.ndarray, path: str) -> np.ndarray:
    """Shorten vectors (H, W, 3) that are too long to unit length; set those with NaN to unknown.

    Maps on another scale or stored as colours (without any negative component) stay unchanged and
    are refused later.
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
    """Set the values of a depth map that are not finite to unknown, 0."""
    if values.dtype.kind != 'f':
        return values
    broken = ~np.isfinite(values)
    if broken.any() and not broken.all():
        say_once('depth', path, f'{broken.sum()} values that are not finite are unknown')
        return np.where(broken, 0, values)
    return values


def say_frames(path: str) -> None:
    """Warn that only the first of several frames or pages of an image file is read."""
    say_once('frames', path, 'it has several frames or pages, and the first is read; save the '
              'others as files of their own to use them')


def say_once(kind: str, path: str, text: str) -> None:
    """Warn about the first file of each kind of fault in this process."""
    if kind not in _said:
        _said.add(kind)
        print_log(f'{path}: {text}; further files of this kind are not reported', 'current',
                  logging.WARNING)
