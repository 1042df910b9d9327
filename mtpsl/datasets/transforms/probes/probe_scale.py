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
FEWEST = 300  # cells of all rows or columns that tell their size


def zoom_of(step: Callable) -> tuple[float, float]:
    """Return the least and largest zoom of a user transform.

    (1, 1) where it is none, also near 1 or with sizes of its own: crops and rotations change the
    number of cells as well, and images of another size would be zoomed otherwise.
    """
    factors = []
    for number in range(DRAWS):
        found = [_factors([step], size, number) for size in (SIZE, (2 * SIZE[0], 2 * SIZE[1]))]
        if None in found:
            return 1, 1
        small, large = (np.sqrt(taller * wider) for taller, wider in found)  # type: ignore[misc]
        if not 1 / SAME_ZOOM < small / large < SAME_ZOOM:
            return 1, 1
        factors.append(small)
    low, high = min(factors), max(factors)
    return (1, 1) if max(high, 1 / low) < NO_ZOOM else (low / NEAR_ZOOM, high * NEAR_ZOOM)


def stretch_of(steps: Sequence[Callable], size: tuple[float, float]) -> float:
    """Return how many times as wide, for its height, user transforms make an image.

    Args:
        steps: transforms that move the image, one after the other.
        size: (height, width) of an image; one of this shape is tried.

    Returns:
        The median of their draws, > 0; 1 where there are none, or they fail.
    """
    scale = np.clip(max(size), SHORTEST, LONGEST) / max(size)
    tried = round(size[0] * scale), round(size[1] * scale)
    found = [_factors(steps, tried, number) for number in range(DRAWS if steps else 0)]
    ratios = [wider / taller for taller, wider in filter(None, found)]
    return float(np.median(ratios)) if ratios else 1.0


def _factors(steps: Sequence[Callable], size: tuple[int, int],
             number: int) -> tuple[float, float] | None:
    """Return how many times as high and as wide a draw makes the cells.

    None where a step fails, such as one that needs labels, or leaves too few cells.
    """
    pattern = pattern_of(size, number % 2)
    with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            results = sample_of(pattern, {}, {})
            for step in steps:
                results = copied(step)(results)
            before, after = (_cell(image) for image in (pattern, results['img']))
        except Exception:
            return None
    return before and after and (after[0] / before[0], after[1] / before[1])


def _cell(image: np.ndarray) -> tuple[float, float] | None:
    """Return the mean height and width of cells, but for those at the ends of rows and columns.

    There is padding, also that repeats what is at the border.
    """
    grey = np.float32(image if image.ndim == 2 else image.mean(2))
    high = grey > (grey.min() + grey.max()) / 2
    found = []
    for lines in (high.T, high):
        changes = lines[:, 1:] != lines[:, :-1]
        count = changes.sum(1)
        first, last = changes.argmax(1), changes.shape[1] - 1 - changes[:, ::-1].argmax(1)
        inner = count >= 2
        number = (count[inner] - 1).sum()
        if number < FEWEST:
            return None
        found.append((last - first)[inner].sum() / number)
    return found[0], found[1]
