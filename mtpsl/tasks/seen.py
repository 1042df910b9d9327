"""What some labels of a task hold, and whether anything can be learned from them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

KEPT = 1000  # values of a label, about, that are kept for the median


class Doubt(NamedTuple):
    """Why labels look wrong.

    Attributes:
        text: what they hold and what to write in the config, to go on after "the labels ... ".
        certain: more labels would not change it: the file's form is misread.
        mute: nothing can be learned from such labels.
    """

    text: str
    certain: bool = False
    mute: bool = False


class Seen:
    """Ranges, counts and classes of some labels of one task.

    Attributes:
        images: labels seen.
        pixels: their values, components of vectors counted one by one.
        known: those of them that are known.
        unknown_images: labels with an unknown pixel.
    """

    def __init__(self) -> None:
        self.images = self.pixels = self.known = self.unknown_images = 0
        self._low, self._high = np.array(math.inf), np.array(-math.inf)  # of each channel
        self._some: list[np.ndarray] = []

    def add(self, label: np.ndarray, fill: float) -> None:
        """Take a label map, (H, W) or (H, W, 3), in which ``ignore_value`` is unknown."""
        known = label != fill
        if known.ndim == 3:  # a vector is unknown where all its components are
            known = known.any(2)
        values = label[known]
        if values.size:
            self._low = np.minimum(self._low, values.min(0))
            self._high = np.maximum(self._high, values.max(0))
        self._some.append(values[::max(1, len(values) // KEPT)].ravel())
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
            whole._low = np.minimum(whole._low, part._low)
            whole._high = np.maximum(whole._high, part._high)
        return whole

    @property
    def low(self) -> float:
        """The smallest known value; infinite where there is none."""
        return float(self._low.min())

    @property
    def high(self) -> float:
        """The largest known value."""
        return float(self._high.max())

    @property
    def median(self) -> float:
        """Of the known values, from a thousand of each label; NaN where there is none."""
        return float(np.median(np.concatenate(self._some))) if self.known else math.nan

    @property
    def alike(self) -> bool:
        """Whether all known values, or vectors, are one and the same."""
        return bool((self._low == self._high).all())
