"""Short constructors of primitives in an object's frame: x right, y forward, z up, metres."""
from collections.abc import Sequence

import numpy as np

from .geometry import Primitive

Point = Sequence[float] | np.ndarray


def turn_z(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about the vertical by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def turn_x(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about the x axis by an angle in radians; positive lifts +y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def aim(direction: Point, side: Point = (1.0, 0.0, 0.0)) -> np.ndarray:
    """Return the rotation (3, 3) with z axis ``direction`` and the x axis nearest to ``side``."""
    # Plain arithmetic is much faster than array functions for three numbers.
    zx, zy, zz = (float(value) for value in direction)
    length = (zx * zx + zy * zy + zz * zz) ** 0.5
    zx, zy, zz = zx / length, zy / length, zz / length
    sx, sy, sz = (float(value) for value in side)
    along = sx * zx + sy * zy + sz * zz
    xx, xy, xz = sx - along * zx, sy - along * zy, sz - along * zz
    length = (xx * xx + xy * xy + xz * xz) ** 0.5
    if length < 1e-3:
        return aim(direction, (0.0, 1.0, 0.0) if abs(zy) < 0.9 else (0.0, 0.0, 1.0))
    xx, xy, xz = xx / length, xy / length, xz / length
    return np.array([[xx, zy * xz - zz * xy, zx], [xy, zz * xx - zx * xz, zy],
                     [xz, zx * xy - zy * xx, zz]])


def box(centre: Point, size: Point, material: int, taper: float = 1.0,
        rotation: np.ndarray | None = None) -> Primitive:
    """Make a box of full ``size`` (3,); its top is ``taper`` times its bottom."""
    return Primitive('box' if taper == 1 else 'wedge', np.asarray(centre, dtype=float),
                     np.eye(3) if rotation is None else rotation,
                     np.asarray(size, dtype=float) / 2, taper, 0, material)


def tube(start: Point, end: Point, radius: float, material: int, taper: float = 1.0) -> Primitive:
    """Make a cylinder from ``start`` to ``end`` (3,), narrowing to ``taper`` of its radius."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.linalg.norm(end - start))
    return Primitive('cone', (start + end) / 2, aim(end - start),
                     np.array([radius, radius, length / 2]), taper, 0, material)


def limb(start: Point, end: Point, radius: float, material: int, part: int = 0,
         flat: float = 1.0, side: Point = (1.0, 0.0, 0.0)) -> Primitive:
    """Make a capsule around the segment from ``start`` to ``end`` (3,).

    Its section is ``radius`` along ``side`` and ``flat * radius`` across.
    """
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.linalg.norm(end - start))
    return Primitive('capsule', (start + end) / 2, aim(end - start, side),
                     np.array([radius, flat * radius, radius]), length / 2 / radius, part, material)


def blob(centre: Point, radii: Point, material: int, part: int = 0,
         rotation: np.ndarray | None = None) -> Primitive:
    """Make an ellipsoid with half-axes ``radii`` (3,)."""
    return Primitive('sphere', np.asarray(centre, dtype=float),
                     np.eye(3) if rotation is None else rotation,
                     np.asarray(radii, dtype=float), 1.0, part, material)
