"""Statistics of some labels of a task, to detect labels that cannot be learned from."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .class_colours import ClassColours
from .one_label import One

# A maximum is a mark and no measurement if it is this many times the next largest value, in at
# least two labels, on this many of their pixels.
APART, SPOT = 1.5, 10
ENOUGH = 8  # labels needed to see where it is near
SOME = 3  # labels needed to see that all or none hold a class
RARE = 1e-4  # a smaller probability is not taken for chance
MOST = (5, 95)  # percentiles of the values
CONSTANT, SOME_PIXELS = 0.1, 10  # share of labels of one value each; known pixels of each
# Share of pixels at the largest or smallest value, and at any one, in so many of the labels.
CLIPPED, FILLED, MOSTLY = 0.05, 0.2, 0.8
EQUAL = 1e-4  # difference of statistics that are one number, of it and of a map's deviation
EDGES, BLENDED = 300, 0.05  # least number of pixels at edges, and share of blends to doubt
TENFOLD = 10  # factor between medians in one unit in two sets
NAMED = 3  # files in a message
LEAP = 30  # factor between medians in one unit; 1000 lie between millimetres and metres


class Doubt(NamedTuple):
    """A reason why labels look wrong.

    Attributes:
        text: end of a sentence that starts "the labels ... ": the finding, and what to write in the
            config.
        certain: more labels would not change the finding: the file format is misread.
        mute: nothing can be learned from such labels.
    """

    text: str
    certain: bool = False
    mute: bool = False


class Seen:
    """Statistics of several labels of one task.

    Args:
        published: whether the dataset is a published one, whose units and axes are not checked.

    Attributes:
        labels: the statistics of each label.
        codings: how the pictures write numbers, see :meth:`~mtpsl.tasks.base.Task.coding`.
        colours: of the images, by class.
    """

    def __init__(self, published: bool = False) -> None:
        self.published = published
        self.labels: list[One] = []
        self.codings: dict[str, str] = {}
        self.colours = ClassColours()

    def add(self, label: np.ndarray, ignore_value: float, source: str = '') -> None:
        """Add a label map, (H, W) or (H, W, 3), in which ``ignore_value`` is unknown.

        Args:
            label: the map.
            ignore_value: ``ignore_value`` of its task.
            source: image or file of the label, for messages.
        """
        self.labels.append(One.of(label, ignore_value, source))

    @classmethod
    def union(cls, parts: Sequence['Seen']) -> 'Seen':
        """Merge the statistics of several parts."""
        whole = cls(any(part.published for part in parts))
        whole.labels = [one for part in parts for one in part.labels]
        for part in parts:
            whole.codings |= part.codings
            whole.colours.include(part.colours)
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
        """Return the number of labels."""
        return len(self.labels)

    @property
    def pixels(self) -> int:
        """Return the number of values of all labels; components of vectors count separately."""
        return sum(one.pixels for one in self.labels)

    @property
    def known(self) -> int:
        """Return the number of known values of all labels."""
        return sum(one.known for one in self.labels)

    @property
    def blank(self) -> str:
        """Explain that some labels hold no known pixel; '' if none does, or all.

        The end of a sentence that starts "the labels ... ".
        """
        blank = [one.source for one in self.labels if not one.known]
        if not blank or not self.known:  # of labels that are all blank, Task.doubt tells
            return ''
        named = ', '.join(blank[:NAMED]) + ', ...' * (len(blank) > NAMED)
        return (f'hold no known pixel in {len(blank)} of {self.images} ({named}): such an '
                'image counts as labelled for the task, and its other labels weigh less; where it '
                'has no label, delete the file, or leave the task out in a label mapping')

    @property
    def low(self) -> float:
        """Return the smallest known value; infinity if there is none."""
        return min((float(one.low.min()) for one in self.labels), default=math.inf)

    @property
    def high(self) -> float:
        """Return the largest known value; minus infinity if there is none."""
        return max((float(one.high.max()) for one in self.labels), default=-math.inf)

    @property
    def some(self) -> np.ndarray:
        """Return (P,) or (P, C) known values, about a thousand per label; (0,) if none."""
        some = [one.some for one in self.labels if one.known]
        return np.concatenate(some) if some else np.empty(0)

    @property
    def median(self) -> float:
        """Return the median of the known values; NaN if there is none."""
        return float(np.median(self.some)) if self.known else math.nan

    def slopes(self, sign: int) -> bool:
        """Return whether nearly all labels of measures increase upwards (downwards for -1)."""
        known = [one.rise * sign > 0 for one in self.labels if one.rise]
        return len(known) >= ENOUGH and sum(known) >= 0.9 * len(known)

    @property
    def arrays(self) -> tuple['Seen', 'Seen']:
        """Split the statistics into those of arrays (``.npy``) and those of other files."""
        parts = Seen(self.published), Seen(self.published)
        for one in self.labels:
            parts[not one.is_array].labels.append(one)
        return parts

    def lacks(self, number: int, other: 'Seen') -> bool:
        """Return whether no label here holds a number that all labels of ``other`` hold."""
        mine, theirs = self._holding(number), other._holding(number)
        return min(len(mine), len(theirs)) >= SOME and not any(mine) and all(theirs)

    def _holding(self, number: int) -> list[bool]:
        return [bool((one.some == number).any()) for one in self.labels if one.known]

    def held_beside(self, number: int, other: 'Seen') -> tuple[int, int, int] | None:
        """Count labels where a number occurs here only.

        Returns:
            Labels here that hold it, all labels here, all labels of ``other``; None where one of
            ``other`` holds it too, or where the difference may be chance.
        """
        mine, theirs = self._holding(number), other._holding(number)
        held, here, there = sum(mine), len(mine), len(theirs)
        return (held, here, there) if rare(held, here, there) and not any(theirs) else None

    @property
    def most(self) -> tuple[float, float] | None:
        """Return the range that holds 90 % of the known values; None for vectors or no value."""
        if self.some.ndim != 1 or not self.some.size:
            return None
        low, high = np.percentile(self.some, MOST)
        return float(low), float(high)

    def apart(self, other: 'Seen') -> bool:
        """Return whether values exceed those of ``other`` as if in another unit.

        That is, 95 % exceed 95 % of the other's, or the median is at least ten times as large.
        """
        mine, theirs = self.most, other.most
        return mine is not None and theirs is not None and (
            mine[0] > theirs[1] or self.median >= TENFOLD * other.median > 0)

    @property
    def leap(self) -> tuple[One, One] | None:
        """Find two labels whose medians differ greatly, with no other median between them."""
        known = [(float(np.median(one.some)), one) for one in self.labels if one.known]
        known.sort(key=lambda pair: pair[0])
        return next(((one, other) for (low, one), (high, other) in zip(known, known[1:])
                     if high > LEAP * low > 0), None)

    @property
    def alike(self) -> bool:
        """Return whether all known values, or vectors, are equal."""
        known = [one for one in self.labels if one.known]
        return bool(known) and all(np.array_equal(value, known[0].low) for one in known
                                   for value in (one.low, one.high))

    @property
    def copies(self) -> bool:
        """Return whether all labels are the same map, of several values."""
        known = [one for one in self.labels if one.known]
        return len(known) >= ENOUGH and not self.alike and len({
            (one.pixels, one.digest) for one in known}) == 1

    @property
    def constant(self) -> str:
        """Explain that some labels of measures or vectors hold one value each; '' if few do.

        The end of a sentence that starts "the labels ... ". Of labels with some known pixels.
        """
        known = [one for one in self.labels if len(one.some) >= SOME_PIXELS]
        found = [one for one in known if np.array_equal(one.low, one.high)]
        if self.published or len(found) < max(2, CONSTANT * len(known)) or (
                len(found) == len(known)):
            return ''
        return (f'hold one value wherever they are known in {len(found)} of {len(known)}, such as '
                f'{found[0].source}: did what made them fail there? Delete these files then; if '
                'the images show such planes, all is well')

    @property
    def still(self) -> bool:
        """Return whether most labels of measures agree on half of their pixels: a fixed camera."""
        grids = [one.grid for one in self.labels if one.known and one.grid is not None]
        known = (~np.isnan(grids[0])).sum() if grids else 0
        alike = sum((grids[0] == grid).sum() > 0.5 * known for grid in grids[1:]
                    if grid.shape == grids[0].shape)
        return bool(known) and alike >= MOSTLY * max(len(grids) - 1, 1)

    @property
    def clipped(self) -> tuple[float, float] | None:
        """Return the largest or smallest measure that nearly all labels end in, and its share."""
        known = [one for one in self.labels if one.known]
        for end in (self.high, self.low) if len(known) >= ENOUGH and not self.alike else ():
            shares = [float((one.some == end).mean()) for one in known]
            if sum(share >= CLIPPED for share in shares) >= MOSTLY * len(known):
                return end, float(np.mean(shares))
        return None

    @property
    def normalised(self) -> tuple[str, float] | None:
        """Return which of median and mean is equal in most labels of measures, and it."""
        known = [one for one in self.labels if one.known and not math.isnan(one.mean)]
        spread = float(np.median([one.some.std() for one in known])) if known else 0.0
        for name, values in (('median', [one.middle for one in known]),
                             ('mean', [one.mean for one in known])):
            if len(known) >= ENOUGH and not self.alike:
                middle = float(np.median(values))
                equal = np.abs(np.array(values) - middle) < EQUAL * min(middle, spread)
                if equal.mean() > 0.5:
                    return name, middle
        return None

    @property
    def blended(self) -> float | None:
        """Return the share of pixels at edges that are blends, if large; None if it is not."""
        edges, between = (sum(getattr(one, name) for one in self.labels)
                          for name in ('edges', 'between'))
        return between / edges if edges >= EDGES and between > BLENDED * edges else None

    @property
    def filled(self) -> tuple[float, One] | None:
        """Return the share of pixels of one measure, if large in nearly all labels, and a label."""
        known = [one for one in self.labels if one.known and one.some.ndim == 1]
        if len(known) < ENOUGH or self.alike:
            return None
        shares = [float(np.unique(one.some, return_counts=True)[1].max() / len(one.some))
                  for one in known]
        found = [(share, one) for share, one in zip(shares, known) if FILLED <= share < 1]
        if len(found) < MOSTLY * len(known):
            return None
        return float(np.mean([share for share, _ in found])), found[0][1]

    @property
    def mark(self) -> tuple[float, float] | None:
        """Return the largest and the next measure if the largest looks like a mark.

        A mark is one number on many pixels of several labels, far above all others.
        """
        high = self.high
        spots = [one.largest for one in self.labels if one.known and one.high.max() == high]
        rest = max((one.next if one.high.max() == high else float(one.high.max())
                    for one in self.labels), default=-math.inf)
        often = len(spots) > 1 and sum(spots) >= SPOT * len(spots)
        return (high, rest) if often and high > APART * rest > 0 else None


def rare(held: int, here: int, there: int) -> bool:
    """Return whether it is no chance that of so many labels here some hold what none there does."""
    return math.comb(here, held) < RARE * math.comb(here + there, held) or (
        held == here >= SOME and there >= ENOUGH)
