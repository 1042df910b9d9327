"""Non-maximum suppression and thinning of boundary maps for the boundary metrics.

Sources: P. Dollar, C. L. Zitnick, 'Structured forests for fast edge detection', ICCV 2013
(suppression); Z. Guo, R. W. Hall, 'Parallel thinning with two-subiteration algorithms', CACM 1989
(thinning).

Shapes: H, W: height and width of the image in pixels; P: number of pixels or positions.
"""

import cv2
import numpy as np

_SMOOTHING = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25  # triangle filter of radius 4
_MULTIPLIER = 1.01  # keep a pixel whose neighbour is stronger by less than 1 %
_BORDER = 5  # width in pixels of the faded image border


def edge_nms(probability: np.ndarray) -> np.ndarray:
    """Suppress pixels weaker than a neighbour across the boundary, and fade the image border.

    The direction across the boundary comes from second derivatives of the smoothed map. The two
    neighbours one pixel away are bilinearly interpolated in the unsmoothed map. The i-th row or
    column from the border, i = 0..4, is multiplied by i / 5.

    Args:
        probability: (H, W) boundary probability in [0, 1], H and W at least 2.

    Returns:
        (H, W) float32 in [0, 1], zero where suppressed.

    Raises:
        ValueError: ``probability`` has another shape or values, or is not finite.
    """
    _check_probability(probability)
    strength = np.asarray(probability, np.float64)
    angle = _normal_angle(strength)
    rows, cols = np.nonzero(strength)
    value, angle = strength[rows, cols], angle[rows, cols]
    keep = np.ones(len(value), bool)
    for step in (-1, 1):
        neighbour = _interpolate(strength, rows + step * np.sin(angle), cols + step * np.cos(angle))
        keep &= value * _MULTIPLIER >= neighbour
    thinned = np.zeros_like(strength)
    thinned[rows[keep], cols[keep]] = value[keep]
    fade_rows, fade_cols = (_border_fade(size) for size in strength.shape)
    return (thinned * fade_rows[:, None] * fade_cols).astype(np.float32)


def thin(mask: np.ndarray) -> np.ndarray:
    """Thin maps to lines one pixel wide by Guo and Hall's two subiterations, until it is stable.

    Equals ``skimage.morphology.thin`` and ``bwmorph(mask, 'thin', Inf)``. All conditions are
    Boolean functions of a pixel's neighbours, so 64 pixels of a row are computed at once, as the
    bits of a word.

    Args:
        mask: (..., H, W) bool.

    Returns:
        (..., H, W) bool, a subset of ``mask``.
    """
    height, width = mask.shape[-2:]
    words = width // 64 + 1  # per row, with at least one empty column to separate the rows
    # An empty row above and below each map.
    rows = np.zeros((*mask.shape[:-2], height + 2, 8 * words), np.uint8)
    rows[..., 1:-1, :-(-width // 8)] = np.packbits(mask, axis=-1, bitorder='little')
    image = rows.view('<u8').ravel()
    inner = image[words:-words]
    unchanged, first = 0, True
    while unchanged < 2:
        kept = inner & ~_removable(image, words, first)
        unchanged = unchanged + 1 if np.array_equal(kept, inner) else 0
        inner[:] = kept
        first = not first
    return np.unpackbits(rows[..., 1:-1, :], axis=-1, count=width, bitorder='little').view(bool)


def _removable(image: np.ndarray, words: int, first: bool) -> np.ndarray:
    """Find the pixels that a subiteration of Guo and Hall deletes, if they are set.

    Args:
        image: uint64 words of a map, row by row, the lowest bit on the left; its first and last
            row and at least one column on the right are empty.
        words: number of words per row.
        first: whether it is the first subiteration.

    Returns:
        Words of the rows between the first and the last.
    """
    one, most = np.uint64(1), np.uint64(63)
    east, west = image >> one, image << one
    east[:-1] |= image[1:] << most
    west[1:] |= image[:-1] >> most
    above, here, below = slice(-2 * words), slice(words, -words), slice(2 * words, None)
    # Neighbours in Guo and Hall's order: east first, then counter-clockwise.
    x1, x2, x3, x4 = east[here], east[above], image[above], west[above]
    x5, x6, x7, x8 = west[here], west[below], image[below], east[below]
    q1, q2, q3, q4 = x1 | x2, x3 | x4, x5 | x6, x7 | x8
    p1, p2, p3, p4 = x2 | x3, x4 | x5, x6 | x7, x8 | x1
    a, b, c, d = p1 & ~x1, p2 & ~x3, p3 & ~x5, p4 & ~x7
    one_crossing = (a | b | c | d) & ~_two_of(a, b, c, d)  # C = 1
    # N = min(sum of q, sum of p) is 2 or 3.
    pairs = _two_of(q1, q2, q3, q4) & _two_of(p1, p2, p3, p4)
    too_many = q1 & q2 & q3 & q4 & p1 & p2 & p3 & p4
    side = (p1 | ~x8) & x1 if first else (p3 | ~x4) & x5
    return one_crossing & pairs & ~(too_many | side)


def _two_of(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the bits that are set in at least two of the four."""
    return a & b | c & d | (a | b) & (c | d)


def _normal_angle(strength: np.ndarray) -> np.ndarray:
    """Return the angle across the boundary from the x axis (columns), in radians, modulo pi.

    O = atan(Oyy sign(-Oxy) / (Oxx + 1e-5)) with O.. the second derivatives of the smoothed map.
    """
    smooth = cv2.sepFilter2D(
        strength, -1, _SMOOTHING, _SMOOTHING, borderType=cv2.BORDER_REFLECT)
    dy, dx = np.gradient(smooth)
    dxx = np.gradient(dx, axis=1)
    dyy, dxy = np.gradient(dy)
    return np.arctan2(dyy * np.sign(-dxy), dxx + 1e-5)


def _interpolate(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Interpolate an (H, W) image bilinearly at (P,) positions, clamped into the image."""
    # 1.001 keeps the pixel below and to the right of the position inside the image.
    y, x = (np.clip(p, 0, size - 1.001) for p, size in zip((y, x), image.shape))
    top, left = y.astype(np.intp), x.astype(np.intp)
    below, right = y - top, x - left
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return upper * (1 - below) + lower * below


def _border_fade(size: int) -> np.ndarray:
    """Return (size,) factors min(i, width) / width, with i the pixel's distance from the border."""
    width = min(_BORDER, size // 2)
    index = np.arange(size)
    return np.minimum(np.minimum(index, index[::-1]), width) / width


def _check_probability(probability: np.ndarray) -> None:
    if probability.ndim != 2 or min(probability.shape) < 2:
        raise ValueError(
            f'probability must have shape (H, W), both at least 2, got {probability.shape}')
    # NaN fails both comparisons.
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f'probability must be within [0, 1] and finite, '
            f'got {probability.min()} to {probability.max()}')
