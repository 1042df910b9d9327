"""Boundary metrics odsF, oisF and AP by the BSDS / SEISM protocol.

Per image: orientation-guided non-maximum suppression of the probability map; then, for each of 101
thresholds, binarise, thin, and match predicted to true pixels one to one within a distance. The
metrics follow from the counts of all images.

Sources: D. Martin, C. Fowlkes, J. Malik, 'Learning to detect natural image boundaries using local
brightness, color, and texture cues', TPAMI 2004 (matching, precision and recall); P. Dollar,
C. L. Zitnick, 'Structured forests for fast edge detection', ICCV 2013 (the whole protocol).

The standard matching minimises the summed distance, plus 100 maxDist per unmatched pixel. One more
match saves two of these, and the distances along its augmenting path grow by less than maxDist per
match, so it pays on any path of fewer than 200 matches. The number of matches is therefore that of
any maximum matching among the pairs within maxDist.

Shapes: H, W: height and width of the image in pixels; N: images; 101: thresholds; T: true pixels;
P: predicted pixels.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from .boundary_nms import edge_nms, thin

# Thresholds are taken together up to so many edges of their graphs and pixels of their maps.
MOST_EDGES, MOST_PIXELS = 1 << 15, 1 << 20
THRESHOLDS = np.concatenate([[0.001], np.arange(1, 100) / 100, [0.999]])
"""(101,) float64: a pixel is predicted where its probability is at least the threshold."""


def match_count(prediction: np.ndarray, truth: np.ndarray, max_distance_pixels: float) -> int:
    """Count the one-to-one matches between predicted and true pixels within a distance.

    Args:
        prediction: (H, W) bool, predicted boundary pixels.
        truth: (H, W) bool, true boundary pixels.
        max_distance_pixels: largest Euclidean distance of a match in pixels, inclusive, >= 0.

    Returns:
        Size of a maximum matching.

    Raises:
        ValueError: the shapes differ, a map is not binary, or the distance is negative or not
            finite.
    """
    _check_map('prediction', prediction, prediction.shape)
    _check_map('truth', truth, prediction.shape)
    _check_distance('max_distance_pixels', max_distance_pixels)
    pixels = np.flatnonzero(prediction)
    neighbours, degree = _candidates(pixels, np.asarray(truth, bool), max_distance_pixels)
    return int(_matched_rows(neighbours, degree).sum())


def boundary_counts(
    probability: np.ndarray,
    truth: np.ndarray,
    valid: np.ndarray | None = None,
    max_dist: float = 0.0075,
) -> np.ndarray:
    """Count matched and all pixels of one image at every threshold.

    Invalid pixels do not count: predictions are removed there after non-maximum suppression, truth
    before thinning.

    Args:
        probability: (H, W) boundary probability in [0, 1], H and W at least 2.
        truth: (H, W), 1 = boundary, 0 = not; need not be thin. Any value where ``valid`` is
            False.
        valid: (H, W) bool, False = ignored pixel; None = all valid.
        max_dist: largest matching distance as a fraction of the image diagonal, >= 0 (0.0075 on
            PASCAL, 0.011 on NYUD).

    Returns:
        (101, 4) int64, one row per threshold: true pixels matched (cntR), true pixels (sumR),
        predicted pixels matched (cntP), predicted pixels (sumP). cntR equals cntP, as there is one
        truth per image.

    Raises:
        ValueError: shapes differ, a value is out of range, or ``probability`` is not finite.
    """
    strength = edge_nms(probability)
    shape = strength.shape
    valid = np.ones(shape, bool) if valid is None else valid
    _check_map('valid', valid, shape)
    if truth.shape == shape:
        truth = np.where(valid, truth, 0)
    _check_map('truth', truth, shape)
    _check_distance('max_dist', max_dist)
    # Number of thresholds that each pixel reaches: it is predicted at threshold k if level > k.
    level = np.searchsorted(THRESHOLDS.astype(np.float32), strength, side='right')
    level = np.where(valid, level, 0)
    pixels = np.flatnonzero(level)
    neighbours, degree = _candidates(pixels, thin(truth == 1), max_dist * np.hypot(*shape))
    owner = np.repeat(np.arange(len(degree)), degree)
    occupied = np.bincount(level.ravel(), minlength=len(THRESHOLDS) + 1) > 0
    # Where no pixel is at a threshold its map is that of the one before.
    distinct = np.flatnonzero(occupied[:len(THRESHOLDS)] | (np.arange(len(THRESHOLDS)) == 0))

    counts = np.zeros((len(THRESHOLDS), 4), np.int64)
    together = max(min(MOST_EDGES // max(len(neighbours), 1), MOST_PIXELS // level.size), 1)
    for start in range(0, len(distinct), together):
        block = distinct[start:start + together]
        predicted = thin(level > block[:, None, None]).reshape(len(block), -1)[:, pixels]
        # A graph of its own for each threshold, side by side.
        at, edge = np.nonzero(predicted[:, neighbours])
        row = at * len(degree) + owner[edge]
        matched = _matched_rows(at * len(pixels) + neighbours[edge],
                                np.bincount(row, minlength=len(block) * len(degree)))
        matched = matched.reshape(len(block), len(degree)).sum(1)
        counts[block] = np.stack([matched, np.full_like(matched, len(degree)), matched,
                                  predicted.sum(1)], 1)
    return counts[distinct[np.searchsorted(distinct, np.arange(len(THRESHOLDS)), 'right') - 1]]


def boundary_scores(counts: np.ndarray) -> dict[str, float]:
    """Compute odsF, oisF and AP of a set of images.

    Precision is cntP / sumP, and 1 if nothing is predicted; recall is cntR / sumR, and 1 if there
    is no true pixel; F = 2PR / (P + R), and 0 if both are 0. Then

    - odsF: F of the counts summed over images, at the best threshold (the lowest of equals);
    - oisF: F of the counts summed over images, each image at its own best threshold;
    - AP: sum / 100 of the precision at recall 0, 0.01, .. 1, interpolated linearly between the
      recalls of the thresholds (the lowest threshold of equal recalls), 0 outside. As in the
      evaluation code of Dollar and Zitnick (2013), it sums 101 terms over 100, so it reaches
      101 %, and it is 0 if all thresholds have one recall.

    That code also interpolates precision and recall between thresholds to find the best F; here,
    as in SEISM, odsF and oisF are evaluated at the thresholds.

    Args:
        counts: (N, 101, 4) counts of ``boundary_counts``, N at least 1.

    Returns:
        'odsF', 'oisF' and 'AP' in percent, and 'odsThreshold' in [0.001, 0.999].

    Raises:
        ValueError: ``counts`` has another shape, or a negative or non-finite value.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 3 or not len(counts) or counts.shape[1:] != (len(THRESHOLDS), 4):
        raise ValueError(f'counts must have shape (N >= 1, 101, 4), got {counts.shape}')
    if not (np.isfinite(counts).all() and counts.min() >= 0):
        raise ValueError('counts must be finite and >= 0, got a negative or non-finite value')
    precision, recall, f_measure = _precision_recall_f(counts.sum(axis=0))
    best = int(f_measure.argmax())
    best_of_image = _precision_recall_f(counts)[2].argmax(axis=1)
    of_image = counts[np.arange(len(counts)), best_of_image].sum(axis=0)

    recalls, first = np.unique(recall, return_index=True)
    average_precision = 0.0
    if len(recalls) > 1:
        levels = np.arange(101) / 100
        curve = np.interp(levels, recalls, precision[first], left=0, right=0)
        average_precision = float(curve.sum() / 100)
    return {
        'odsF': 100 * float(f_measure[best]),
        'oisF': 100 * float(_precision_recall_f(of_image)[2]),
        'AP': 100 * average_precision,
        'odsThreshold': float(THRESHOLDS[best]),
    }


def _precision_recall_f(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute precision, recall and F of (..., 4) counts, with empty sums by boundary_scores."""
    true_matched, true_total, predicted_matched, predicted_total = np.moveaxis(counts, -1, 0)
    shape = counts.shape[:-1]
    precision = np.divide(
        predicted_matched, predicted_total, out=np.ones(shape), where=predicted_total > 0)
    recall = np.divide(true_matched, true_total, out=np.ones(shape), where=true_total > 0)
    total = precision + recall
    f_measure = np.divide(2 * precision * recall, total, out=np.zeros(shape), where=total > 0)
    return precision, recall, f_measure


def _candidates(
    pixels: np.ndarray, truth: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find the predicted pixels within the distance of each true pixel.

    Args:
        pixels: (P,) flat indices of the predicted pixels in the map.
        truth: (H, W) bool, T pixels set.
        distance: in pixels, inclusive.

    Returns:
        The candidates of all true pixels, concatenated in raster order of the true pixels, as
        indices into ``pixels``; and (T,) their number per true pixel.
    """
    radius = min(int(distance), max(truth.shape))
    offset = np.arange(-radius, radius + 1)
    near = offset[:, None] ** 2 + offset**2 <= distance**2
    dy, dx = (axis - radius for axis in np.nonzero(near))
    index = np.full(truth.shape, -1, np.int32)
    index.ravel()[pixels] = np.arange(len(pixels))
    index = np.pad(index, radius, constant_values=-1)
    y, x = np.nonzero(truth)
    found = index[y[:, None] + dy + radius, x[:, None] + dx + radius]  # (T, offsets)
    return found[found >= 0], (found >= 0).sum(axis=1)


def _matched_rows(neighbours: np.ndarray, degree: np.ndarray) -> np.ndarray:
    """Return which rows, such as true pixels, a maximum matching gives a column.

    It is the maximum flow source -> rows -> columns -> sink with all capacities 1. (SciPy's
    ``maximum_bipartite_matching`` is 100 times slower on these graphs.)

    Args:
        neighbours: columns that each row may match, concatenated.
        degree: (T,) number of columns of each row.

    Returns:
        (T,) bool.
    """
    num_rows = len(degree)
    if not len(neighbours):
        return np.zeros(num_rows, bool)
    used = np.zeros(neighbours.max() + 1, bool)
    used[neighbours] = True
    column = (used.cumsum(dtype=np.int32) - 1)[neighbours]
    num_columns = int(used.sum())
    source, sink = num_rows + num_columns, num_rows + num_columns + 1
    # CSR rows in the order of the nodes: rows, columns, source, sink.
    ends = np.concatenate([column + num_rows, np.full(num_columns, sink), np.arange(num_rows)])
    out_degree = np.concatenate([[0], degree, np.ones(num_columns, int), [num_rows, 0]])
    graph = csr_array(
        (np.ones(len(ends), np.int32), ends.astype(np.int32), out_degree.cumsum(dtype=np.int32)),
        shape=(sink + 1, sink + 1))
    flow = maximum_flow(graph, source, sink).flow
    of_source = slice(*flow.indptr[source:source + 2])
    matched = np.zeros(num_rows, bool)
    matched[flow.indices[of_source]] = flow.data[of_source] > 0
    return matched


def _check_map(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.ndim != 2 or values.shape != shape:
        raise ValueError(f'{name} must have the shape (H, W) = {shape}, got {values.shape}')
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        raise ValueError(f'{name} must hold only 0 and 1, got {np.unique(values)[:8]}')


def _check_distance(name: str, value: float) -> None:
    if not 0 <= value < np.inf:
        raise ValueError(f'{name} must be finite and >= 0, got {value}')
