"""Measure on a pattern how large user transforms make things, and in which shape."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from mtpsl.datasets.sampler import SeededIndex, seeded

from .probe import SIZE, copied, pattern_of, sample_of

# Of a zoom: what counts as none, a rotation by 45 degrees included; as the same for two sizes of
# images; and as near, since cells are counted.
NO_ZOOM, SAME_ZOOM, NEAR_ZOOM, DRAWS = 1.4, 1.15, 1.1, 24
SHORTEST, LONGEST = 144, 240  # longer sides of the patterns that are stretched


def zoom_of(step: Callable) -> tuple[float, float]:
    """Return the least and largest zoom of a user transform.

    (1, 1) where it is none, also near 1 or with sizes of its own: crops and rotations change the
    number of cells as well, and images of another size would be zoomed otherwise.
    """
    factors = []
    for number in range(DRAWS):
        found = []
        for size in (SIZE, (2 * SIZE[0], 2 * SIZE[1])):
            taller, wider = _factors(step, size, number)
            found.append(np.sqrt(taller * wider))
        if not 1 / SAME_ZOOM < found[0] / found[1] < SAME_ZOOM:
            return 1, 1
        factors.append(found[0])
    low, high = min(factors), max(factors)
    return (1, 1) if max(high, 1 / low) < NO_ZOOM else (low / NEAR_ZOOM, high * NEAR_ZOOM)


def stretch_of(steps: Sequence[Callable], size: tuple[float, float]) -> float:
    """Return how many times as wide, for its height, user transforms make an image.

    Args:
        steps: transforms that move the image.
        size: (height, width) of an image; one of this shape is tried.

    Returns:
        The median of their draws, > 0.
    """
    scale = np.clip(max(size), SHORTEST, LONGEST) / max(size)
    tried = round(size[0] * scale), round(size[1] * scale)
    return float(np.prod([np.median([wider / taller for taller, wider in (
        _factors(step, tried, number) for number in range(DRAWS))]) for step in steps]))


def _factors(step: Callable, size: tuple[int, int], number: int) -> tuple[float, float]:
    """Return how many times as high and as wide a draw makes the cells; 1 where it fails."""
    pattern = pattern_of(size, number % 2)
    with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            moved = copied(step)(sample_of(pattern, {}, {}))['img']
            taller, wider = (before / after for before, after in zip(
                _changes(pattern), _changes(moved)))
        except Exception:  # such as one that needs labels
            return 1, 1
    return (taller, wider) if 0 < taller * wider < np.inf else (1, 1)


def _changes(image: np.ndarray) -> tuple[float, float]:
    """Share of neighbours, by rows and by columns, that are of different cells; without padding."""
    grey = np.float32(image if image.ndim == 2 else image.mean(2))
    high = grey > (grey.min() + grey.max()) / 2
    for _ in range(2):  # rows of one value at the borders, then columns
        changing = np.flatnonzero((high != high[:, :1]).any(1))
        high = high[changing[0]:changing[-1] + 1].T
    return float((high[1:] != high[:-1]).mean()), float((high[:, 1:] != high[:, :-1]).mean())
