"""Statistics of one label of a task."""

import math
import zlib
from typing import NamedTuple

import numpy as np

from .lines import core_share, line_width, other_pixels, yes_pixels
from .neighbours import blended_holes, blended_ids

GRID = 16  # at least as many rows and columns of a grid
KEPT = 1000  # approximate number of values kept per label, for the median


class One(NamedTuple):
    """Statistics of one label.

    Attributes:
        pixels: number of values, counting components of vectors separately.
        known: number of known values.
        low: smallest known value of each channel; infinity without known values.
        high: largest known value of each channel.
        largest: number of pixels with the maximum, for maps of measures.
        next: second largest measure; minus infinity if there is none.
        rise: mean of the upper third minus mean of the lower third, of known measures.
        some: (P,) or (P, C), about a thousand of the known values.
        source: image or file of the label.
        core: share of the pixels of value 1 that are far from the border, for binary maps.
        width: mean width of what these pixels draw, in pixels, for binary maps with one.
        fill: share of the pixels of ids other than the commonest that are far from the border; None
            for other maps, and where there are none.
        edges: number of pixels, of some, at edges: of ids whose neighbours are two numbers apart or
            more, of measures beside unknown pixels.
        between: number of these that are between the neighbours, the unknown being 0.
        middle: median of the known measures.
        mean: mean of the known measures.
        digest: checksum of the map; two maps with one are the same.
        grid: (h, w) some pixels of a map of measures, at fixed places, NaN where unknown; None for
            others.
    """

    pixels: int
    known: int
    low: np.ndarray
    high: np.ndarray
    largest: int
    next: float
    rise: float
    some: np.ndarray
    source: str
    core: float
    width: float
    fill: float | None
    edges: int
    between: int
    middle: float
    mean: float
    digest: int
    grid: np.ndarray | None

    @classmethod
    def of(cls, label: np.ndarray, ignore_value: float, source: str = '') -> 'One':
        """Look at a label map, see :meth:`Seen.add <mtpsl.tasks.seen.Seen.add>`."""
        known = label != ignore_value
        if known.ndim == 3:  # a vector is unknown if all its components are
            known = known.any(2)
        values = label[known]
        low, high = ((values.min(0), values.max(0)) if values.size else
                     (np.array(math.inf), np.array(-math.inf)))
        largest, second, rise, middle, mean = 0, -math.inf, 0.0, math.nan, math.nan
        measures = label.ndim == 2 and label.dtype.kind == 'f'
        if measures and values.size:
            middle, mean = float(np.median(values)), float(values.mean(dtype=np.float64))
            below = values[values < high]
            largest, second = values.size - below.size, float(below.max(initial=-math.inf))
            third = len(label) // 3
            ends = [part[there] for part, there in ((label[:third], known[:third]),
                                                    (label[-third:], known[-third:]))]
            if all(end.size for end in ends):
                rise = float(ends[0].mean() - ends[1].mean())
        yes = yes_pixels(label)
        shape = (0.0, 0.0) if yes is None else (core_share(yes), line_width(yes))
        other = other_pixels(label)
        fill = None if other is None else core_share(other)
        blends = (blended_holes if measures else blended_ids)(label, known)
        return cls(label.size, values.size, low, high, largest, second, rise, _spread(values),
                   source, *shape, fill, *blends, middle, mean,
                   zlib.crc32(np.ascontiguousarray(label).data),
                   _grid(np.where(known, label, np.nan)) if measures else None)

    @property
    def is_array(self) -> bool:
        """Return whether the label is from a ``.npy`` file."""
        return self.source.lower().endswith('.npy')


def _grid(label: np.ndarray) -> np.ndarray:
    rows, columns = (max(side // GRID, 1) for side in label.shape)
    return label[::rows, ::columns].copy()


def _spread(values: np.ndarray) -> np.ndarray:
    """Return random values of a map: a fixed stride could equal the map's width."""
    if len(values) <= KEPT:
        return values
    return values[np.random.default_rng(0).integers(len(values), size=KEPT)]
