"""What neighbouring pixels of labels tell: values that interpolation made."""

import numpy as np

ROWS = 4  # each fourth row is looked at
LOWER = 0.85  # a measure beside a hole, over the next one, that was blended with 0


def blended_ids(label: np.ndarray, known: np.ndarray) -> tuple[int, int]:
    """Count the edges of a map of ids (H, W), and how many have an id between those beside it."""
    if label.ndim != 2:  # vectors have no ids
        return 0, 0
    rows, there = label[::ROWS].astype(np.int16), known[::ROWS]
    left, middle, right = rows[:, :-2], rows[:, 1:-1], rows[:, 2:]
    edge = (np.abs(left - right) > 1) & there[:, :-2] & there[:, 1:-1] & there[:, 2:]
    inside = (middle > np.minimum(left, right)) & (middle < np.maximum(left, right))
    return int(edge.sum()), int((edge & inside).sum())


def blended_holes(label: np.ndarray, known: np.ndarray) -> tuple[int, int]:
    """Count the pixels of measures (H, W) beside unknown ones, and those far below the next."""
    counts = [0, 0]
    for rows, there in ((label[::ROWS], known[::ROWS]),
                        (label[::ROWS, ::-1], known[::ROWS, ::-1])):
        edge = ~there[:, :-2] & there[:, 1:-1] & there[:, 2:]
        counts[0] += int(edge.sum())
        counts[1] += int((edge & (rows[:, 1:-1] < LOWER * rows[:, 2:])).sum())
    return counts[0], counts[1]
