"""What some labels of a task hold, and whether anything can be learned from them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SPARSE = 97  # of measured values every so many is kept for the median


class Doubt(NamedTuple):
    """Why labels look wrong.

    Attributes:
        text: what they hold and what to write in the config, to go on after "the labels ... ".
        certain: True where more labels would not change it: the file's form is misread.
    """

    text: str
    certain: bool = False


class Seen:
    """Ranges, counts and classes of some labels of one task.

    Attributes:
        images: labels seen.
        pixels: their values, components of vectors counted one by one.
        known: those of them that are known.
        low, high: range of the known ones; infinite where there is none.
        unknown_images: labels with an unknown pixel.
    """

    def __init__(self) -> None:
        self.images = self.pixels = self.known = self.unknown_images = 0
        self.low, self.high = math.inf, -math.inf
        self._some: list[np.ndarray] = []

    def add(self, label: np.ndarray, fill: float) -> None:
        """Take a label map, (H, W) or (H, W, 3), in which ``fill`` is unknown."""
        known = label != fill
        if known.ndim == 3:  # a vector is unknown where all its components are
            known = np.repeat(known.any(2, keepdims=True), label.shape[2], 2)
        values = label[known]
        if values.size:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))
        self._some.append(values[::SPARSE])
        self.images += 1
        self.known += values.size
        self.pixels += label.size
        self.unknown_images += values.size < label.size

    @classmethod
    def union(cls, parts: Sequence['Seen']) -> 'Seen':
        """All that was seen, part by part."""
        whole = cls()
        for part in parts:
            for name in ('images', 'pixels', 'known', 'unknown_images', '_some'):
                setattr(whole, name, getattr(whole, name) + getattr(part, name))
            whole.low, whole.high = min(whole.low, part.low), max(whole.high, part.high)
        return whole

    @property
    def median(self) -> float:
        """Of the known measured values, from every 97th; NaN where there is none."""
        return float(np.median(np.concatenate(self._some))) if self.known else math.nan

    @property
    def alike(self) -> bool:
        """Whether all known values are one and the same."""
        return self.low == self.high
