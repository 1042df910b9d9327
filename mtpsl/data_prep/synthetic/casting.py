"""Casts rays into a scene.

Bounding spheres, of things and then of primitives, leave few (primitive, ray) pairs. All pairs of
a shape are intersected together, so the cost does not depend on the number of primitives. Rays are
processed in blocks that fit the cache.
"""
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .geometry import MISS, SHAPES, Primitive, Thing, apply, dot, unit
from .shapes import aim

BLOCK = 16384  # rays at a time


class World:
    """Primitives of a scene as arrays.

    Args:
        things: T things that rays may hit, with P primitives in total.

    Attributes:
        primitives: the P primitives in order.
        owner: (P,) int, the thing of each primitive.
    """

    def __init__(self, things: Sequence[Thing]) -> None:
        self.primitives: list[Primitive] = [p for thing in things for p in thing.primitives]
        counts = [len(thing.primitives) for thing in things]
        self.owner = np.repeat(np.arange(len(counts)), counts)
        self.balls = [thing.ball for thing in things]
        self.firsts = np.cumsum([0, *counts])
        names = list(SHAPES)
        self.shape = np.array([names.index(p.shape) for p in self.primitives])
        # Bounding radii with a margin for rounding, of primitives (P,) and of things (T, 1).
        self.radius = _padded([p.radius for p in self.primitives])
        self.reach = _padded([thing.ball[1] for thing in things])[:, None]
        self.parameter = np.array([p.parameter for p in self.primitives], dtype=np.float32)
        self.centre = np.stack([p.centre for p in self.primitives], axis=1).astype(np.float32)
        rotation = np.stack([p.rotation for p in self.primitives], axis=2)
        scale = np.stack([p.scale for p in self.primitives], axis=1)
        # World to canonical: diag(1 / scale) R^T, (3, 3, P).
        self.inverse = (rotation.transpose(1, 0, 2) / scale[:, None]).astype(np.float32)

    def first_hits(self, origins: np.ndarray, directions: np.ndarray, limit: float
                   ) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest hit of each ray.

        Args:
            origins: (3, N) or (3, 1) float32, world.
            directions: (3, N) float32, world, unit.
            limit: metres beyond which hits are dropped.

        Returns:
            Distances (N,) float32, inf without a hit; and primitives (N,) int, -1 without a hit.
        """
        distance = np.full(directions.shape[1], MISS, dtype=np.float32)
        index = np.full(directions.shape[1], -1)
        for primitive, ray, t in self._hits(origins, directions):
            t[t > limit] = MISS
            np.minimum.at(distance, ray, t)
            first = np.flatnonzero((t == distance[ray]) & (t < MISS))
            index[ray[first]] = primitive[first]
        return distance, index

    def occluded(self, origins: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Return (N,) whether a solid lies from origins (3, N) along a unit direction (3, 1).

        Planes do not count: the light is always on the lit side of ground and walls.
        """
        hidden = np.zeros(origins.shape[1], dtype=bool)
        for _, ray, t in self._hits(origins, direction, planes=False):
            hidden[ray[t < MISS]] = True
        return hidden

    def normals(self, index: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return outward unit world normals at points (3, N) on primitives (N,); 0 for -1."""
        normal = np.zeros_like(points)
        shape = np.where(index >= 0, self.shape[index], -1)
        for number, (_, local_normal) in enumerate(SHAPES.values()):
            at = np.flatnonzero(shape == number)
            which = index[at]
            inverse = self.inverse[:, :, which]
            local = apply(inverse, points[:, at] - self.centre[:, which])
            outward = local_normal(local, self.parameter[which])
            normal[:, at] = unit(apply(inverse.transpose(1, 0, 2), outward))
        return normal

    def _hits(self, origins: np.ndarray, directions: np.ndarray, planes: bool = True
              ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (primitive, ray, distance or inf), each (M,), for the pairs that may meet."""
        count = max(origins.shape[1], directions.shape[1])
        for start in range(0, count, BLOCK):
            block = slice(start, start + BLOCK)
            o = origins if origins.shape[1] == 1 else origins[:, block]
            d = directions if directions.shape[1] == 1 else directions[:, block]
            primitive, ray = self._pairs(o, d)
            shape = self.shape[primitive]
            for number, name in enumerate(SHAPES):
                at = np.flatnonzero(shape == number)
                if at.size:
                    which, rays = primitive[at], ray[at]
                    yield which, rays + start, self._enter(name, which, _take(o, rays),
                                                           _take(d, rays))
            everything = np.arange(max(o.shape[1], d.shape[1]))
            for number in np.flatnonzero(~np.isfinite(self.radius)).tolist() if planes else ():
                yield (np.full(everything.size, number), everything + start,
                       self._enter('plane', slice(number, number + 1), o, d))

    def _enter(self, name: str, which: np.ndarray | slice, o: np.ndarray, d: np.ndarray
               ) -> np.ndarray:
        """Return distances (M,) at which rays (3, M) or (3, 1) enter primitives (M,) of a shape."""
        # Values that all rays share are transformed once per primitive, not per ray.
        local, along = (
            apply(self.inverse, o - self.centre)[:, which] if o.shape[1] == 1
            else apply(self.inverse[:, :, which], o - self.centre[:, which]),
            apply(self.inverse, d)[:, which] if d.shape[1] == 1
            else apply(self.inverse[:, :, which], d))
        # Start from the point nearest to the centre, for the precision of the quadratics.
        start = -dot(local, along) / dot(along, along)
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            t = start + SHAPES[name][0](local + start * along, along, self.parameter[which])
            return np.where(t > 1e-4, t, MISS)

    def _pairs(self, o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (primitive, ray) pairs in which the ray meets the bounding sphere."""
        near: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
        if o.shape[1] == 1:
            near, rays, centres = _near_fan, d, self.centre - o
        else:
            # In this frame all rays are parallel to the last axis.
            frame = aim(d[:, 0]).T.astype(np.float32)
            near, rays, centres = _near_beam, apply(frame, o), apply(frame, self.centre)
        primitives, index = [], []
        for number, (centre, radius) in enumerate(self.balls):
            first, last = self.firsts[number], self.firsts[number + 1]
            if not np.isfinite(radius):
                continue
            centre = centre.astype(np.float32)[:, None]
            middle = centre - o if near is _near_fan else apply(frame, centre)
            close = np.flatnonzero(near(middle, self.reach[number], rays)[0])
            if close.size:
                part, ray = np.nonzero(near(centres[:, first:last], self.radius[first:last],
                                            rays[:, close]))
                primitives.append(part + first)
                index.append(close[ray])
        if not index:
            return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
        return np.concatenate(primitives), np.concatenate(index)


def _padded(radii: list[float]) -> np.ndarray:
    return np.array(radii, dtype=np.float32) * np.float32(1.01) + np.float32(2e-3)


def _near_fan(centres: np.ndarray, radii: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return (P, M) whether unit rays (3, M) from 0 may meet balls of radii (P,) at (3, P)."""
    # A ball at distance |c| is met where c . d >= sqrt(|c|^2 - r^2), everywhere from inside it.
    square = dot(centres, centres) - radii * radii
    least = np.where(square > 0, np.sqrt(np.maximum(square, 0)), -MISS).astype(np.float32)
    c = centres[..., None]
    return dot(c, directions) >= least[:, None]


def _near_beam(centres: np.ndarray, radii: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Return (P, M) whether rays from (3, M) along z may meet balls of radii (P,) at (3, P)."""
    c = centres[..., None]
    square = (c[0] - origins[0]) ** 2 + (c[1] - origins[1]) ** 2
    return (square <= (radii * radii)[:, None]) & (origins[2] <= c[2] + radii[:, None])


def _take(vectors: np.ndarray, index: np.ndarray) -> np.ndarray:
    return vectors if vectors.shape[1] == 1 else vectors.take(index, axis=1)
