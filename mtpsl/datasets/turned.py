"""Whether labels are mirrored, turned or transposed against their images, by where edges lie."""

from collections.abc import Callable

import cv2
import numpy as np

SIDE = 128  # pixels of the longer side at which edges are compared
LEAST = 8  # labels that tell
STEP = 0.02  # of a measure, relative to what is nearer: an edge
# Another transform fits better: by so many standard errors of the mean, and by so much.
ERRORS, MARGIN = 4, 0.05
# What was done to the labels -> what undoes it, of an array (H, W).
UNDO: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'as they are': lambda label: label,
    'mirrored left to right': lambda label: label[:, ::-1],
    'mirrored top to bottom': lambda label: label[::-1],
    'turned by 180 degrees': lambda label: label[::-1, ::-1],
    'transposed': lambda label: label.T,
    'turned left by 90 degrees': lambda label: np.rot90(label, -1),
    'turned right by 90 degrees': np.rot90,
    'transposed and turned by 180 degrees': lambda label: label[::-1, ::-1].T}
KEEP_SIZE = 4  # the first ones keep the size of every image, the others that of square ones


class EdgeFit:
    """How well the edges of labels of one task lie on those of their images.

    The measure is the correlation of two maps, the density of the label's edges and the image's
    gradient, both at a longer side of 128 pixels. It is taken with the label as it is and after
    each transform that keeps the size.
    """

    def __init__(self) -> None:
        self._fits: list[list[float]] = []  # by label, then in the order of UNDO

    def add(self, image: np.ndarray, label: np.ndarray, ignore_value: float) -> None:
        """Take an image (H, W, 3) uint8 and a label (H, W) or (H, W, 3) of it."""
        if image.shape[:2] != label.shape[:2] or min(image.shape[:2]) < 3:
            return
        grey = cv2.GaussianBlur(image.astype(np.float32).mean(2), (0, 0), 1)
        gradient = _reduced(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)))
        edges = _reduced(_edges(label, ignore_value))
        square = image.shape[0] == image.shape[1]
        if gradient.std() and edges.std():
            self._fits.append([_correlation(undo(edges), gradient) if square or number < KEEP_SIZE
                               else np.nan for number, undo in enumerate(UNDO.values())])

    def told(self) -> str:
        """What was done to the labels, to go on after "the labels ... are"; '' where nothing.

        Of eight labels at least, the best transform fits better than none by four standard errors
        of the mean, and by 0.05.
        """
        best, found = 0.0, ''
        fits = np.array(self._fits).reshape(-1, len(UNDO))
        for number, name in enumerate(UNDO):
            known = fits[~np.isnan(fits[:, number])]
            if not number or len(known) < LEAST:
                continue
            better = known[:, number] - known[:, 0]
            gain = better.mean()
            clear = gain > max(MARGIN, ERRORS * better.std(ddof=1) / np.sqrt(len(known)))
            if clear and gain > best:
                own, other = known[:, [0, number]].mean(0)
                best, found = gain, (
                    f'{name} against the images, it seems: with that undone their edges lie on '
                    f'those of the images (correlation {other:.2f} over {len(known)} labels), as '
                    f'they are they do not ({own:.2f})')
        return found


def _edges(label: np.ndarray, ignore_value: float) -> np.ndarray:
    """(H, W) 0 to 1: where classes, measures or vectors change to the right or below."""
    values = label.astype(np.float32).reshape(*label.shape[:2], -1)
    measures = label.dtype.kind == 'f'
    known = (values != ignore_value).any(2)
    edges = np.zeros(label.shape[:2], np.float32)
    for axis in (0, 1):
        first, second = (np.delete(values, end, axis) for end in (-1, 0))
        change = np.abs(first - second).max(2)
        if measures:  # a hole is no edge of what is seen
            scale = np.minimum(np.abs(first).max(2), np.abs(second).max(2))
            change = (change > STEP * scale) * change / (change + scale + 1e-12)
            change *= np.delete(known, -1, axis) & np.delete(known, 0, axis)
        part = edges[:-1] if axis == 0 else edges[:, :-1]
        np.maximum(part, change if measures else change > 0, out=part)
    return edges


def _reduced(values: np.ndarray) -> np.ndarray:
    """A map (H, W) at a longer side of 128 pixels, a little blurred."""
    factor = SIDE / max(values.shape)
    if factor < 1:
        size = [max(round(side * factor), 1) for side in values.shape[::-1]]
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(values, (0, 0), 1)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
