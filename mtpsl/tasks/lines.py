"""What is drawn in binary maps: lines and how wide they are, or regions."""

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from .seen import Seen

# In pixels, and as a share of the diagonal: most pixels of a line are closer to its border, unless
# it is four times as wide; a region has some that are not.
BORDER, BORDER_SHARE = 2, 0.004
# Share of the pixels that are far from the border, of lines at most and of regions at least; in so
# much of so many labels.
THIN, FILLED, MOSTLY, LEAST = 0.01, 0.15, 0.9, 8


def yes_pixels(label: np.ndarray) -> np.ndarray | None:
    """(H, W) uint8, 1 where a map of 0, 1 and 255 (unknown) is 1; None of other maps."""
    if label.dtype != np.uint8 or ((label > 1) & (label < 255)).any():
        return None
    yes = (label == 1).astype(np.uint8)
    return yes if yes.any() else None


def other_pixels(label: np.ndarray) -> np.ndarray | None:
    """(H, W) uint8, 1 where a map of ids has another than its commonest; None of other maps."""
    if label.dtype != np.uint8 or label.ndim != 2:
        return None
    other = ((label != np.bincount(label.ravel(), minlength=256)[:255].argmax())
             & (label != 255)).astype(np.uint8)
    return other if other.any() else None


def outlines(one: 'Seen', other: 'Seen', names: tuple[str, str]) -> str:
    """Return that ids are drawn as lines in one of two sets and as regions in the other, or ''.

    Of eight labels at least in each, nine of ten are so.

    Args:
        one: labels of the set that the first name means.
        other: labels of the set that the second name means.
        names: names of the two for the text.
    """
    fills = [np.array([label.fill for label in seen.labels if label.fill is not None])
             for seen in (one, other)]
    if min(map(len, fills)) < LEAST:
        return ''
    for line, region, words in ((0, 1, names), (1, 0, names[::-1])):
        if (fills[line] < THIN).mean() > MOSTLY and (fills[region] > FILLED).mean() > MOSTLY:
            return (f'are drawn as lines in {words[0]} and as regions in {words[1]}: were outlines '
                    'saved in the place of filled shapes?')
    return ''


def core_share(yes: np.ndarray) -> float:
    """Return the share of the pixels of value 1 that are far from the border; 0 if all are 1."""
    if yes.all():
        return 0.0
    reach = max(BORDER, round(BORDER_SHARE * math.hypot(*yes.shape)))
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return float(cv2.erode(yes, around).sum() / yes.sum())


def line_width(yes: np.ndarray) -> float:
    """Return the mean width of what is drawn, in pixels, however much of it there is.

    The width of a straight line of w rows or columns is w, of a diagonal its pixels in a row. It is
    the area divided by half of the outline, to which each pixel adds the larger number, over the
    two axes, of its neighbours that are 0.
    """
    wide = np.pad(yes, 1)
    left, right, above, below = wide[1:-1, :-2], wide[1:-1, 2:], wide[:-2, 1:-1], wide[2:, 1:-1]
    area = np.count_nonzero(yes)
    none = np.count_nonzero(yes & left & right & above & below)
    at_most_one = np.count_nonzero(yes & (left | right) & (above | below))
    return 2 * area / (2 * area - none - at_most_one)
