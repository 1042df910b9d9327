"""Computes surface normals from depth by fitting planes in windows that avoid depth edges.

The inverse depth of a plane is linear in pixel coordinates, 1/Z = a u + b v + c. With
u = fx X/Z + cx, v = fy Y/Z + cy (X right, Y down, Z forward) that is
a fx X + b fy Y + (a cx + b cy + c) Z = 1. The vector of these three factors points away from the
camera; the normal that faces the camera, in axes x right, y up, z towards the viewer, is
(-a fx, b fy, a cx + b cy + c).
"""

from typing import NamedTuple

import cv2
import numpy as np

RADIUS = 7  # pixels, at 480 rows
MIN_SHARE = 0.2  # least share of known pixels in a window
# Squared pixels: least variance of positions in any direction; three pixels in a row have 0.67.
MIN_VARIANCE = 0.5

# Factor on the residual of a window centred on the pixel; its root if the pixel is in the middle of
# a side. Of windows that fit equally well, outer ones have a bias on curved surfaces.
FAVOUR = 0.5


class Intrinsics(NamedTuple):
    """A pinhole camera, in pixels; the centre of the first pixel is (0, 0)."""

    fx: float
    fy: float
    cx: float
    cy: float


class _Planes(NamedTuple):
    """The plane of the window around each pixel: 1/Z = a x + b y + c, x and y from its centre.

    Args:
        a, b, c: (H, W) float64, 1/metre per pixel and 1/metre.
        residual: (H, W) standard deviation of 1/Z over its mean; inf without a plane.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    residual: np.ndarray


def _fit_planes(inverse: np.ndarray, known: np.ndarray, radius: int) -> _Planes:
    """Fit by least squares over the known pixels of the square window around each pixel."""
    ones = np.ones(2 * radius + 1)
    line = np.arange(-radius, radius + 1, dtype=np.float64)

    def total(values: np.ndarray, across: np.ndarray = ones, down: np.ndarray = ones) -> np.ndarray:
        return cv2.sepFilter2D(values, cv2.CV_64F, across, down, borderType=cv2.BORDER_CONSTANT)

    weight = known.astype(np.float64)
    count, q = total(weight), total(inverse)
    n = np.maximum(count, 1)
    x, y, mean = total(weight, line) / n, total(weight, down=line) / n, q / n
    xx = total(weight, line ** 2) / n - x * x
    yy = total(weight, down=line ** 2) / n - y * y
    xy = total(weight, line, line) / n - x * y
    xq, yq = total(inverse, line) / n - x * mean, total(inverse, down=line) / n - y * mean
    qq = total(inverse ** 2) / n - mean ** 2
    det = xx * yy - xy * xy
    narrowest = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy ** 2)
    sound = (count >= max(MIN_SHARE * ones.size ** 2, 4)) & (narrowest >= MIN_VARIANCE)
    det = np.where(sound, det, 1)
    a, b = (yy * xq - xy * yq) / det, (xx * yq - xy * xq) / det
    rest = np.maximum(qq - a * xq - b * yq, 0) * n / np.maximum(n - 3, 1)
    residual = np.where(sound, np.sqrt(rest) / np.where(sound, mean, 1), np.inf)
    return _Planes(a, b, mean - a * x - b * y, residual)


def _shifted(values: np.ndarray, down: int, right: int, fill: float) -> np.ndarray:
    """Return ``values[i + down, j + right]`` at (i, j), ``ignore_value`` beyond the border."""
    height, width = values.shape
    found = np.full_like(values, fill)
    rows, columns = slice(max(-down, 0), height - max(down, 0)), slice(
        max(-right, 0), width - max(right, 0))
    if rows.start < rows.stop and columns.start < columns.stop:
        found[rows, columns] = values[rows.start + down:rows.stop + down,
                                      columns.start + right:columns.stop + right]
    return found


def normals_from_depth(depth: np.ndarray, camera: Intrinsics, known: np.ndarray | None = None,
                       radius: int = RADIUS) -> np.ndarray:
    """Compute unit normals of the surface at each pixel, facing the camera.

    A pixel is at the centre, the middle of a side or a corner of nine windows. The plane that fits
    best is used, with a preference for the central window: next to a depth edge it is a window on
    the pixel's own side.

    Args:
        depth: (H, W) metres along the optical axis; values not finite or not positive are unknown.
        camera: camera of the depth map.
        known: (H, W) bool, pixels to use; ``None`` for all with known depth.
        radius: radius of the windows in pixels, at least 1; they are 2 radius + 1 wide.

    Returns:
        (H, W, 3) float32, x right, y up, z towards the viewer; the zero vector if the pixel is
        unknown or too few pixels around it are known.
    """
    sound = np.isfinite(depth) & (depth > 0)
    known = sound if known is None else sound & known
    inverse = np.where(known, 1 / np.where(known, depth.astype(np.float64), 1), 0)
    planes = _fit_planes(inverse, known, radius)
    rows, columns = np.indices(depth.shape)
    normal = np.stack((
        -planes.a * camera.fx, planes.b * camera.fy,
        planes.c + planes.a * (camera.cx - columns) + planes.b * (camera.cy - rows)))
    best = np.full(depth.shape, np.inf)
    source = np.zeros(depth.shape, np.intp)
    pixels = np.arange(depth.size, dtype=np.intp).reshape(depth.shape)
    for down in (0, -radius, radius):
        for right in (0, -radius, radius):
            favour = FAVOUR ** ((down == 0) / 2 + (right == 0) / 2)
            score = favour * _shifted(planes.residual, down, right, np.inf)
            better = score < best
            best[better] = score[better]
            source[better] = (pixels + down * depth.shape[1] + right)[better]
    normal = normal.reshape(3, -1)[:, source]
    length = np.sqrt((normal ** 2).sum(0))
    found = known & np.isfinite(best) & (length > 0)
    return np.where(found, normal / np.where(found, length, 1), 0).transpose(1, 2, 0).astype(
        np.float32)
