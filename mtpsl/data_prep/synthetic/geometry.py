"""Solid primitives and their intersections with rays.

Vectors are (3, N) float32 arrays with a row per coordinate. Rows are contiguous, and no product
uses a threaded library, so results do not depend on the number of threads.

Every primitive is a canonical shape, scaled along its own axes, rotated and moved. A ray
``origin + t * direction`` keeps its ``t`` in the canonical frame because directions are not
normalised there. Shape parameters are (N,) float32, one per ray. The canonical shapes are

- ``plane``: z = 0, normal +z, infinite;
- ``sphere``: radius 1 (an ellipsoid once scaled);
- ``box``: |x|, |y|, |z| <= 1;
- ``wedge``: |z| <= 1 and |x|, |y| <= r(z), with r going from 1 at z = -1 to ``parameter`` at z = 1;
- ``cone``: |z| <= 1 and x^2 + y^2 <= r(z)^2, same r: ``parameter`` 0 is a cone, 1 a cylinder;
- ``capsule``: points within 1 of the segment |z| <= ``parameter`` on the z axis.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MISS = np.float32(np.inf)
TINY = np.float32(1e-12)


@dataclass(frozen=True)
class Primitive:
    """A canonical shape placed in the world.

    Args:
        shape: One of the keys of ``SHAPES``.
        centre: (3,) position of the canonical origin, metres.
        rotation: (3, 3) orthonormal, canonical axes in its columns.
        scale: (3,) positive, metres per canonical unit.
        parameter: Shape parameter, see the module's docstring; in [0, 1] for wedge and cone.
        part: Body part, 0..6.
        material: Index into the scene's materials.
    """

    shape: str
    centre: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    parameter: float = 1.0
    part: int = 0
    material: int = 0

    @cached_property
    def radius(self) -> float:
        """The radius of the bounding sphere around ``centre`` in metres."""
        x, y, z = (float(value) for value in self.scale)
        if self.shape == 'sphere':
            return max(x, y, z)
        if self.shape in ('box', 'wedge'):
            return float(np.sqrt(x * x + y * y + z * z))
        if self.shape == 'cone':
            return float(np.hypot(max(x, y), z))
        if self.shape == 'capsule':
            return max(x, y, z) + self.parameter * z
        return float('inf')

    def moved(self, rotation: np.ndarray, offset: np.ndarray) -> 'Primitive':
        """Return the primitive after x -> rotation @ x + offset, (3, 3) and (3,)."""
        return Primitive(self.shape, rotation @ self.centre + offset, rotation @ self.rotation,
                         self.scale, self.parameter, self.part, self.material)


@dataclass(frozen=True)
class Thing:
    """Primitives that form one instance.

    Args:
        category: PASCAL VOC class id, 0 for background surfaces.
        primitives: At least one primitive, in world coordinates.
        rotation: (3, 3) axes of the object and its textures in the columns.
        origin: (3,) origin of the object's own frame, metres.
    """

    category: int
    primitives: tuple[Primitive, ...]
    rotation: np.ndarray
    origin: np.ndarray

    @cached_property
    def ball(self) -> tuple[np.ndarray, float]:
        """The bounding sphere: centre (3,) and radius in metres (inf for a plane)."""
        centres = np.stack([primitive.centre for primitive in self.primitives])
        radii = np.array([primitive.radius for primitive in self.primitives])
        middle = (centres.min(axis=0) + centres.max(axis=0)) / 2
        return middle, float((np.linalg.norm(centres - middle, axis=1) + radii).max())


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute dot products (N,) of the columns of (3, N) arrays; (3, 1) broadcasts."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def apply(matrix: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Multiply a matrix (3, 3), or one per column (3, 3, N), with vectors (3, N)."""
    columns = matrix if matrix.ndim == 3 else matrix[..., None]
    # Add in place, in this order: fewer temporary arrays, same rounding.
    product = columns[:, 0] * vectors[0]
    product += columns[:, 1] * vectors[1]
    product += columns[:, 2] * vectors[2]
    return product


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale the columns of (3, N) to length 1."""
    return vectors / np.sqrt(np.maximum(dot(vectors, vectors), TINY))


def _enter_plane(o: np.ndarray, d: np.ndarray, _: np.ndarray) -> np.ndarray:
    # Rays start at the point nearest to the centre; keep only those from the front.
    return np.where(d[2] < 0, -o[2] / d[2], MISS)


def _enter_sphere(o: np.ndarray, d: np.ndarray, _: np.ndarray) -> np.ndarray:
    a, b, c = dot(d, d), dot(o, d), dot(o, o) - 1
    root = b * b - a * c
    return np.where(root >= 0, (-b - np.sqrt(np.maximum(root, 0))) / a, MISS)


def _enter_box(o: np.ndarray, d: np.ndarray, _: np.ndarray) -> np.ndarray:
    low, high = (-1 - o) / d, (1 - o) / d
    near, far = np.minimum(low, high), np.maximum(low, high)
    enter = np.maximum(np.maximum(near[0], near[1]), near[2])
    leave = np.minimum(np.minimum(far[0], far[1]), far[2])
    return np.where(enter <= leave, enter, MISS)


def _wedge_gaps(p: np.ndarray, taper: np.ndarray) -> np.ndarray:
    """Return the slack (6, N) to the faces +x -x +y -y +z -z; the sides lean by the taper."""
    r = (1 + taper) / 2 + (taper - 1) / 2 * p[2]
    return np.stack([r - p[0], r + p[0], r - p[1], r + p[1], 1 - p[2], 1 + p[2]])


def _enter_wedge(o: np.ndarray, d: np.ndarray, taper: np.ndarray) -> np.ndarray:
    lean = (taper - 1) / 2 * d[2]
    along = np.stack([d[0] - lean, -d[0] - lean, d[1] - lean, -d[1] - lean, d[2], -d[2]])
    gap = _wedge_gaps(o, taper)
    t = gap / along
    # The last entry into a half-space, unless another is left before or never entered.
    near = np.where(along < 0, t, -MISS).max(axis=0)
    outside = np.where((along == 0) & (gap < 0), -MISS, MISS)
    far = np.where(along > 0, t, outside).min(axis=0)
    return np.where(near <= far, near, MISS)


def _enter_cone(o: np.ndarray, d: np.ndarray, taper: np.ndarray) -> np.ndarray:
    mean, slope = (1 + taper) / 2, (taper - 1) / 2
    # Entry through the flat end facing the ray.
    end = -np.sign(d[2])
    lid = (end - o[2]) / d[2]
    x, y = o[0] + lid * d[0], o[1] + lid * d[1]
    best = np.where(x * x + y * y <= (mean + slope * end) ** 2, lid, MISS)
    # Side: x^2 + y^2 = (mean + slope z)^2; both roots, as a cone's leading term may be negative.
    r = mean + slope * o[2]
    a = d[0] ** 2 + d[1] ** 2 - (slope * d[2]) ** 2
    a = np.where(np.abs(a) < TINY, TINY, a)
    b = o[0] * d[0] + o[1] * d[1] - slope * d[2] * r
    square = b * b - a * (o[0] ** 2 + o[1] ** 2 - r * r)
    root = np.sqrt(np.maximum(square, 0))
    for sign in (-1, 1):
        t = (-b + sign * root) / a
        valid = (square >= 0) & (np.abs(o[2] + t * d[2]) <= 1)
        best = np.where(valid, np.minimum(best, t), best)
    return best


def _enter_capsule(o: np.ndarray, d: np.ndarray, half: np.ndarray) -> np.ndarray:
    a = np.maximum(d[0] ** 2 + d[1] ** 2, TINY)
    b = o[0] * d[0] + o[1] * d[1]
    square = b * b - a * (o[0] ** 2 + o[1] ** 2 - 1)
    side = (-b - np.sqrt(np.maximum(square, 0))) / a
    z = o[2] + side * d[2]
    # Beyond the straight part the ray can only meet the round end on that side.
    ball = _enter_sphere(np.stack([o[0], o[1], o[2] - np.sign(z) * half]), d, half)
    return np.where(square >= 0, np.where(np.abs(z) <= half, side, ball), MISS)


def _plane_normal(p: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(p[0]), np.zeros_like(p[0]), np.ones_like(p[0])])


def _sphere_normal(p: np.ndarray, _: np.ndarray) -> np.ndarray:
    return p


def _box_normal(p: np.ndarray, _: np.ndarray) -> np.ndarray:
    face = np.abs(p).argmax(axis=0)
    return np.where(np.arange(3)[:, None] == face, np.sign(p), np.float32(0))


def _wedge_normal(p: np.ndarray, taper: np.ndarray) -> np.ndarray:
    face = np.abs(_wedge_gaps(p, taper)).argmin(axis=0)
    table = np.array([[1, -1, 0, 0, 0, 0], [0, 0, 1, -1, 0, 0], [0, 0, 0, 0, 1, -1]], np.float32)
    normal = table[:, face]
    normal[2] += np.where(face < 4, (1 - taper) / 2, 0)
    return normal


def _cone_normal(p: np.ndarray, taper: np.ndarray) -> np.ndarray:
    slope = (taper - 1) / 2
    r = (1 + taper) / 2 + slope * p[2]
    lid = 1 - np.abs(p[2]) < np.abs(r - np.hypot(p[0], p[1]))
    side = np.stack([p[0], p[1], -slope * r])
    return np.where(lid, np.stack([0 * r, 0 * r, np.sign(p[2])]), side)


def _capsule_normal(p: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.stack([p[0], p[1], p[2] - np.clip(p[2], -half, half)])


Enter = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Normal = Callable[[np.ndarray, np.ndarray], np.ndarray]
SHAPES: dict[str, tuple[Enter, Normal]] = {
    'plane': (_enter_plane, _plane_normal),
    'sphere': (_enter_sphere, _sphere_normal),
    'box': (_enter_box, _box_normal),
    'wedge': (_enter_wedge, _wedge_normal),
    'cone': (_enter_cone, _cone_normal),
    'capsule': (_enter_capsule, _capsule_normal),
}
