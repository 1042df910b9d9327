"""Whether labels lie on their images, by edges: not mirrored, turned, moved or of others."""

import zlib
from collections.abc import Callable

import cv2
import numpy as np

from .edge_warps import FIT, clear, fits_well, moved, standardised, warped

SIDE = 128  # pixels of the longer side at which edges are compared
LEAST = 8  # labels that tell
STEP = 0.02  # of a measure, relative to what is nearer: an edge
# Some labels are turned, where the others fit as they are: by so much each, so many, of a share,
# of so many; the others by so many of their standard deviations. Of renumbered ones so many times
# as many fit the image on one side as on the other.
SOME_MARGIN, SOME, SHARE, OF, CLEARLY, BESIDE = 0.15, 3, 0.08, 12, 1.5, 3
IN_ROW = 0.4  # share of renumbered ones between the first and the last
NAMED = 3  # of them in a message
# Labels of other images: they fit their own better by less than so many standard errors, and by
# less than so much even with two more, while the images are not of one scene. As many are compared.
BY_CHANCE, OWN, ONE_SCENE, COMPARED = 3, 0.05, 0.5, 64
SMOOTH = -0.05  # correlation below which labels are of what is smoother than the rest of the image
EVERYWHERE = 0.7  # deviation of the edges over their mean, below which they are noise
KNOWN = 0.25  # least known share of a map of measures: points without neighbours have no edges
LARGE = 1024  # pixels of the longer side beyond which a map is made smaller first
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
        self._names: list[str] = []
        self._places: list[int] = []  # labels of one fixed camera's place count once in some
        self._maps: list[tuple[np.ndarray, np.ndarray]] = []  # edges and gradient of the first ones
        self._neighbours: list[list[float]] = []  # fit of two labels to the image of the other
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, image: np.ndarray, label: np.ndarray, ignore_value: float, name: str) -> None:
        """Take an image (H, W, 3) uint8 of a name and a label (H, W) or (H, W, 3) of it."""
        if image.shape[:2] != label.shape[:2] or min(image.shape[:2]) < 3:
            return
        if label.dtype.kind == 'f' and (label != ignore_value).mean() < KNOWN:
            return
        square = image.shape[0] == image.shape[1]
        image, label = _at_most(image, LARGE), _at_most(label, LARGE)
        grey = cv2.GaussianBlur(image.astype(np.float32).mean(2), (0, 0), 1)
        gradient = _reduced(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)))
        edges = _reduced(_edges(label, ignore_value))
        if gradient.std() and edges.std():
            self._names.append(name)
            self._places.append(zlib.crc32(edges.data))
            before, self._before = self._before, (edges, gradient)
            # Of a slow video, where images are alike, neighbours tell nothing.
            self._neighbours.append([np.nan, np.nan] if (
                before is None or before[0].shape != edges.shape
                or _correlation(before[1], gradient) > ONE_SCENE) else [
                    _correlation(before[0], gradient), _correlation(edges, before[1])])
            if len(self._maps) < COMPARED and edges.std() > EVERYWHERE * edges.mean():
                self._maps.append((edges, gradient))
            self._fits.append([_correlation(undo(edges), gradient) if square or number < KEEP_SIZE
                               else np.nan for number, undo in enumerate(UNDO.values())])

    def told(self, ordered: bool = False) -> str:
        """What was done to the labels, to go on after "the labels ... are"; '' where nothing.

        Of eight labels at least, the best transform fits better than none by four standard errors
        of the mean, and by 0.05, and with a correlation of 0.2. Or it does so by 0.15 for 8 % of
        them, three at least, and is as clearly worse for the others. Or, as clearly as for a
        transform, they fit better when they are moved or zoomed. With ``ordered``, or many of them
        fit the image after theirs, or before; or they fit their images no better than those of
        other labels, see :func:`_of_others`.

        Args:
            ordered: the labels were added in their order.
        """
        best, found = 0.0, ''
        fits = np.array(self._fits).reshape(-1, len(UNDO))
        for number, name in enumerate(UNDO):
            known = fits[~np.isnan(fits[:, number])]
            if not number or len(known) < LEAST:
                continue
            gain = clear(known[:, number] - known[:, 0])
            if gain > best and fits_well(known[:, 0], known[:, number]):
                own, other = known[:, [0, number]].mean(0)
                best, found = gain, (
                    f'{name} against the images, it seems: with that undone their edges lie on '
                    f'those of the images (correlation {other:.2f} over {len(known)} labels), as '
                    f'they are they do not ({own:.2f})')
        if found or len(fits) < LEAST:
            return found
        edges, gradients = self._of_one_size()
        enough = len(edges) >= LEAST
        if enough:
            found = max(moved(edges, gradients), warped(edges, gradients))[1]
        found = found or self._some(fits)
        return found or ordered and (
            self._renumbered(fits) or enough and _of_others(edges, gradients)) or ''

    def _renumbered(self, fits: np.ndarray) -> str:
        """What to say where some labels are those of the image before or after theirs; or ''."""
        neighbours = np.array(self._neighbours)
        # Of each label the fit to the image after it, and to that before it, less that to its own.
        after, before = (np.nan_to_num(other - fits[:, 0], nan=-np.inf) > SOME_MARGIN
                         for other in (np.append(neighbours[1:, 0], np.nan), neighbours[:, 1]))
        for those, chance, word in ((after, before, 'after'), (before, after, 'before')):
            least = max(SOME, SHARE * len(fits), BESIDE * chance.sum())
            # From a missing file on all are shifted, until another mends it.
            places = np.flatnonzero(those)
            if len(fits) < OF or len(places) < least or (
                    len(places) < IN_ROW * (places[-1] - places[0] + 1)):
                continue
            names = [name for name, those_too in zip(self._names, those) if those_too]
            return (f'those of the image {word} theirs in {len(names)} of {len(fits)} '
                    f'({", ".join(names[:NAMED])}{", ..." * (len(names) > NAMED)}), it seems: '
                    'their edges lie on those of that image. Were files renumbered, or one left '
                    'out?')
        return ''

    def _of_one_size(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges and gradients, (N, h, w) each, of the size that most have, standardised."""
        if not self._maps:
            return np.zeros((0, 1, 1)), np.zeros((0, 1, 1))
        sizes = [edges.shape for edges, _ in self._maps]
        size = max(sizes, key=sizes.count)
        edges, gradients = zip(*(pair for pair in self._maps if pair[0].shape == size))
        return standardised(edges), standardised(gradients)

    def _some(self, fits: np.ndarray) -> str:
        """What to say of the commonest transform that was done to some labels only; or ''."""
        gains = np.where(np.isnan(fits), -np.inf, fits - fits[:, :1])
        best = gains.argmax(1) * (gains.max(1) > SOME_MARGIN)
        number = int(np.bincount(best, minlength=len(UNDO))[1:].argmax()) + 1
        those, rest = best == number, fits[best != number]
        rest = rest[~np.isnan(rest[:, number])]
        distinct = len({place for place, one in zip(self._places, those) if one})
        if (len(fits) < OF or distinct < max(SOME, SHARE * len(fits))
                or not clear(rest[:, 0] - rest[:, number])
                or (best > 0).sum() > (best == 0).sum()
                or rest[:, 0].mean() < CLEARLY * rest[:, 0].std()):
            return ''
        own, other = fits[those][:, [0, number]].mean(0)
        if other < FIT:
            return ''
        names = [name for name, those_too in zip(self._names, those) if those_too]
        return (f'{list(UNDO)[number]} in {len(names)} of {len(fits)} against the images '
                f'({", ".join(names[:NAMED])}{", ..." * (len(names) > NAMED)}), it seems: with '
                f'that undone their edges lie on those of the images (correlation {other:.2f}), as '
                f'they are they do not ({own:.2f}), and the others do. Was the EXIF orientation of '
                'photos removed after they were labelled? Turn them the way their labels lie')


def _of_others(edges: np.ndarray, gradients: np.ndarray) -> str:
    """What to say where labels seem to be those of other images; or ''.

    A label's fit to its own image less its mean fit to the others is below three standard errors
    in the mean, and below 0.05 with two more. Where images are alike among themselves, as of a
    fixed camera, or labels of what is smooth before texture, nothing can be told.
    """
    number = len(edges)
    edges, gradients = edges.reshape(number, -1), gradients.reshape(number, -1)
    fit, alike = edges @ gradients.T, gradients @ gradients.T
    own = fit.diagonal()
    others, likeness = ((one.sum(1) - one.diagonal()) / (number - 1) for one in (fit, alike))
    error = (own - others).std(ddof=1) / np.sqrt(number)
    if (own - others).mean() > min(BY_CHANCE * error, OWN - 2 * error) or (
            likeness.mean() > ONE_SCENE) or own.mean() < SMOOTH:
        return ''
    return (f'those of other images, it seems: their edges lie on those of their images '
            f'(correlation {own.mean():.2f} over {number} labels) no better than on those of the '
            f'others ({others.mean():.2f}). Were files renamed, or numbered in another order? Or '
            'do such labels have no edges that the images have?')


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


def _at_most(values: np.ndarray, side: int) -> np.ndarray:
    """A map (H, W) or (H, W, K) with every n-th row and column, so that no side is longer."""
    step = -(-max(values.shape[:2]) // side)
    return values[::step, ::step]


def _reduced(values: np.ndarray) -> np.ndarray:
    """A map (H, W) at a longer side of 128 pixels, a little blurred."""
    factor = SIDE / max(values.shape)
    if factor < 1:
        size = [max(round(side * factor), 1) for side in values.shape[::-1]]
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(values, (0, 0), 1)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
