"""What some labels of a task hold, and whether anything can be learned from them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

KEPT = 1000  # values of a label, about, that are kept for the median
# A largest value that is a mark and no measurement: so many times the next largest one, in two
# labels at least, on so many pixels of these.
APART, SPOT = 1.5, 10
ENOUGH = 8  # labels that tell where it is near
SOME = 3  # labels of which all hold a class, or none
RARE = 1e-4  # chance that is no chance: 8 of 8 labels hold a class here, and 0 of 8 there
MOST = (5, 95)  # percent of the measures
TENFOLD = 10  # between medians of one unit in two sets
LEAP = 30  # between medians of one unit; 1000 lie between millimetres and metres
# In pixels, and as a share of the diagonal: most of a line, unless it is four times as wide, and
# some of any region, lies nearer than that to its border.
BORDER, BORDER_SHARE = 2, 0.004


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


class One(NamedTuple):
    """What one label holds.

    Attributes:
        pixels: its values, components of vectors counted one by one.
        known: those of them that are known.
        low: the smallest known value of each channel, infinite where there is none.
        high: the largest one.
        largest: pixels that hold the largest number, of a map of measures.
        next: the largest measure but that one, minus infinity where there is none.
        rise: by how much the upper third exceeds the lower one in the mean, of known measures.
        some: (P,) or (P, C) of the known values, about a thousand.
        source: the image or file that it is of.
        core: share of the pixels of 1, of a map of 0 and 1, that do not lie near others.
    """

    pixels: int
    known: int
    low: np.ndarray
    high: np.ndarray
    largest: int
    next: float
    rise: float
    some: np.ndarray
    source: str = ''
    core: float = 0.0

    @property
    def is_array(self) -> bool:
        """Whether it is of a ``.npy`` file."""
        return self.source.lower().endswith('.npy')


class Seen:
    """Ranges, counts and classes of some labels of one task.

    Args:
        published: they are of a published dataset, whose units and axes are as they are.

    Attributes:
        labels: what each of them holds.
        codings: what their pictures tell of how numbers are written, see
            :meth:`~mtpsl.tasks.base.Task.coding`: what matter -> the word.
    """

    def __init__(self, published: bool = False) -> None:
        self.published = published
        self.labels: list[One] = []
        self.codings: dict[str, str] = {}

    def add(self, label: np.ndarray, ignore_value: float, source: str = '') -> None:
        """Take a label map, (H, W) or (H, W, 3), in which ``ignore_value`` is unknown.

        Args:
            label: the map.
            ignore_value: ``ignore_value`` of its task.
            source: the image or file that it is of, for what is told of it.
        """
        known = label != ignore_value
        if known.ndim == 3:  # a vector is unknown where all its components are
            known = known.any(2)
        values = label[known]
        low, high = ((values.min(0), values.max(0)) if values.size else
                     (np.array(math.inf), np.array(-math.inf)))
        largest, second, rise = 0, -math.inf, 0.0
        if label.ndim == 2 and label.dtype.kind == 'f' and values.size:
            below = values[values < high]
            largest, second = values.size - below.size, float(below.max(initial=-math.inf))
            third = len(label) // 3
            ends = [part[there] for part, there in ((label[:third], known[:third]),
                                                    (label[-third:], known[-third:]))]
            if all(end.size for end in ends):
                rise = float(ends[0].mean() - ends[1].mean())
        self.labels.append(One(label.size, values.size, low, high, largest, second, rise,
                               _spread(values), source, _core(label)))

    @classmethod
    def union(cls, parts: Sequence['Seen']) -> 'Seen':
        """All that was seen, part by part."""
        whole = cls(any(part.published for part in parts))
        whole.labels = [one for part in parts for one in part.labels]
        for part in parts:
            whole.codings |= part.codings
        return whole

    def permuted(self, other: 'Seen') -> tuple[str, str, str] | None:
        """A word, such as a colour, with what it is said of here and in the other.

        None where fewer than two words change places: one colour may be the same by chance.
        """
        mine, theirs = ({word: matter for matter, word in seen.codings.items()
                         if list(seen.codings.values()).count(word) == 1}
                        for seen in (self, other))
        moved = [(word, matter, theirs[word]) for word, matter in mine.items()
                 if matter != theirs.get(word, matter)]
        return moved[0] if len(moved) > 1 else None

    @property
    def images(self) -> int:
        """Labels seen."""
        return len(self.labels)

    @property
    def pixels(self) -> int:
        """Values of all labels, components of vectors counted one by one."""
        return sum(one.pixels for one in self.labels)

    @property
    def known(self) -> int:
        """Those of the values that are known."""
        return sum(one.known for one in self.labels)

    @property
    def low(self) -> float:
        """The smallest known value; infinite where there is none."""
        return min((float(one.low.min()) for one in self.labels), default=math.inf)

    @property
    def high(self) -> float:
        """The largest known value."""
        return max((float(one.high.max()) for one in self.labels), default=-math.inf)

    @property
    def some(self) -> np.ndarray:
        """(P,) or (P, C) known values, about a thousand of each label; (0,) where there is none."""
        some = [one.some for one in self.labels if one.known]
        return np.concatenate(some) if some else np.empty(0)

    @property
    def median(self) -> float:
        """Of the known values; NaN where there is none."""
        return float(np.median(self.some)) if self.known else math.nan

    def slopes(self, sign: int) -> bool:
        """Whether nearly all labels of measures are larger above than below, or smaller for -1."""
        known = [one.rise * sign > 0 for one in self.labels if one.rise]
        return len(known) >= ENOUGH and sum(known) >= 0.9 * len(known)

    @property
    def arrays(self) -> tuple['Seen', 'Seen']:
        """What was seen in arrays (``.npy``), and in other files."""
        parts = Seen(self.published), Seen(self.published)
        for one in self.labels:
            parts[not one.is_array].labels.append(one)
        return parts

    def lacks(self, number: int, other: 'Seen') -> bool:
        """Whether no label here holds a number that all labels of the other hold; of some each."""
        mine, theirs = self._holding(number), other._holding(number)
        return min(len(mine), len(theirs)) >= SOME and not any(mine) and all(theirs)

    def _holding(self, number: int) -> list[bool]:
        return [bool((one.some == number).any()) for one in self.labels if one.known]

    def held_beside(self, number: int, other: 'Seen') -> tuple[int, int, int] | None:
        """Of a number that no label of the other holds: labels here that do, labels here, there.

        None where it may be chance that all those which hold it are here.
        """
        mine, theirs = self._holding(number), other._holding(number)
        held, here, there = sum(mine), len(mine), len(theirs)
        rare = math.comb(here, held) < RARE * math.comb(here + there, held) or (
            held == here >= SOME and there >= ENOUGH)
        return (held, here, there) if rare and not any(theirs) else None

    @property
    def most(self) -> tuple[float, float] | None:
        """Between which 90 % of the known measures lie; None of vectors, or without any."""
        if self.some.ndim != 1 or not self.some.size:
            return None
        low, high = np.percentile(self.some, MOST)
        return float(low), float(high)

    def apart(self, other: 'Seen') -> bool:
        """Whether measures lie above the other's as those of another unit do.

        Most lie above most of the other's, or in the median they are ten times as large.
        """
        mine, theirs = self.most, other.most
        return mine is not None and theirs is not None and (
            mine[0] > theirs[1] or self.median >= TENFOLD * other.median > 0)

    @property
    def leap(self) -> tuple[One, One] | None:
        """Two labels of measures between whose medians, far from each other, no other's lies."""
        known = [(float(np.median(one.some)), one) for one in self.labels if one.known]
        known.sort(key=lambda pair: pair[0])
        return next(((one, other) for (low, one), (high, other) in zip(known, known[1:])
                     if high > LEAP * low > 0), None)

    @property
    def alike(self) -> bool:
        """Whether all known values, or vectors, are one and the same."""
        known = [one for one in self.labels if one.known]
        return bool(known) and all(np.array_equal(value, known[0].low) for one in known
                                   for value in (one.low, one.high))

    @property
    def copies(self) -> bool:
        """Whether all of some labels are one and the same map, of several values."""
        known = [one for one in self.labels if one.known]
        return len(known) >= ENOUGH and not self.alike and all(
            one.pixels == known[0].pixels and np.array_equal(one.some, known[0].some)
            for one in known)

    @property
    def mark(self) -> tuple[float, float] | None:
        """The largest measure and the next one, where the largest looks like a mark.

        That is one number on many pixels of several labels, far above all others.
        """
        high = self.high
        spots = [one.largest for one in self.labels if one.known and one.high.max() == high]
        rest = max((one.next if one.high.max() == high else float(one.high.max())
                    for one in self.labels), default=-math.inf)
        often = len(spots) > 1 and sum(spots) >= SPOT * len(spots)
        return (high, rest) if often and high > APART * rest > 0 else None


def _core(label: np.ndarray) -> float:
    """See ``One.core``; 0 of other maps."""
    if label.dtype != np.uint8 or ((label > 1) & (label < 255)).any():
        return 0.0
    yes = (label == 1).astype(np.uint8)
    if not yes.any() or yes.all():
        return 0.0
    reach = max(BORDER, round(BORDER_SHARE * math.hypot(*label.shape)))
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return float(cv2.erode(yes, around).sum() / yes.sum())


def _spread(values: np.ndarray) -> np.ndarray:
    """Some of the values, from all over a map: a fixed stride could be the map's width."""
    if len(values) <= KEPT:
        return values
    return values[np.random.default_rng(0).integers(len(values), size=KEPT)]
