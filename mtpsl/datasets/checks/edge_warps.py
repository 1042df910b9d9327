"""Whether labels fit the edges of their images better if all are moved, zoomed or turned a bit."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

# Another transform fits better: by so many standard errors of the mean, and by so much.
ERRORS, MARGIN = 4, 0.05
# Labels that are moved: by so many pixels of the 128, and no further than by so many.
LEAST_SHIFT, FARTHEST = 3, 32
# Labels that are larger or smaller than what the images show: such factors are tried.
NEARLY = 0.9  # of that a label fits as it is: then it lies where it should
FIT = 0.2  # least correlation with that undone
ZOOMS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 1.07, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4)
# And of those in which one axis alone is, as where an image was cut to a square and its label
# squeezed to one: the usual shapes are 4:3, 3:2, 16:10 and 16:9.
SQUEEZES = (0.5625, 0.625, 0.667, 0.75, 0.8, 0.85, 0.9, 1.1, 1.2, 1.333, 1.5, 1.6, 1.778)
TURNS = (-12, -9, -6, -4, 4, 6, 9, 12)  # degrees to the right


def moved(edges: np.ndarray, gradients: np.ndarray) -> tuple[float, str]:
    """How much better labels fit when they are moved, all by the same, and what to say of it.

    (0, '') where they do not.

    Args:
        edges: of the labels, (N, h, w), standardised.
        gradients: of their images, likewise.
    """
    fits = np.fft.irfft2(np.fft.rfft2(gradients) * np.fft.rfft2(edges).conj(), s=edges.shape[1:])
    height, width = edges.shape[1:]
    rows, columns = (np.fft.fftfreq(side, 1 / side).round().astype(int) for side in (height, width))
    near = (np.abs(rows) <= FARTHEST)[:, None] & (np.abs(columns) <= FARTHEST)
    best = np.where(near, fits.mean(0), -np.inf).argmax()
    down, right = (int(part) for part in (rows[best // width], columns[best % width]))
    own, other = fits[:, 0, 0], fits.reshape(len(fits), -1)[:, best]
    gain = clear(other - own)
    if max(abs(down), abs(right)) < LEAST_SHIFT or not gain or not fits_well(own, other):
        return 0.0, ''
    words = [f'{word} by {abs(by) / side:.0%} of the {whole}' for by, side, whole, word in (
        (down, height, 'height', 'up' if down > 0 else 'down'),
        (right, width, 'width', 'to the left' if right > 0 else 'to the right')) if by]
    told = (f'moved {" and ".join(words)} against the images, it seems: with that undone their '
            f'edges lie on those of the images (correlation {other.mean():.2f} over {len(edges)} '
            f'labels), as they are they do not ({own.mean():.2f})')
    return gain, told


def warped(edges: np.ndarray, gradients: np.ndarray) -> tuple[float, str]:
    """As :func:`moved`, of labels that fit better zoomed or turned a little about the centre."""
    centre = np.array([(side - 1) / 2 for side in edges.shape[:0:-1]])
    own, best, found = (edges * gradients).sum((1, 2)), 0.0, ''
    for undo, word, why in _warps():
        matrix = np.column_stack([undo, centre - undo @ centre])
        undone = standardised([cv2.warpAffine(one, matrix, edges.shape[:0:-1],
                                              borderMode=cv2.BORDER_REPLICATE) for one in edges])
        other = (undone * gradients).sum((1, 2))
        gain = clear(other - own)
        if gain > best and fits_well(own, other):
            best, found = gain, (
                f'{word} about the centre, it seems: with that undone their edges lie on those of '
                f'the images (correlation {other.mean():.2f} over {len(edges)} labels), as they '
                f'are they do not ({own.mean():.2f}). {why}')
    return best, found


def _warps() -> Iterator[tuple[np.ndarray, str, str]]:
    """Yield what undoes a warp, a (2, 2) matrix of x and y, what it is, and a question."""
    shown = 'than what the images show, by'
    for zoom in ZOOMS:
        yield (np.eye(2) / zoom, f'{"larger" if zoom > 1 else "smaller"} {shown} {zoom:g}',
               'Are they of a camera with another field of view?')
    squeezed = 'Was only one of them cut or padded, and the other squeezed to its size?'
    for zoom in SQUEEZES:
        yield (np.diag([1 / zoom, 1]), f'{"wider" if zoom > 1 else "narrower"} {shown} {zoom:g}',
               squeezed)
        yield (np.diag([1, 1 / zoom]), f'{"taller" if zoom > 1 else "shorter"} {shown} {zoom:g}',
               squeezed)
    for degrees in TURNS:
        sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
        yield (np.array([[cosine, sine], [-sine, cosine]]),
               f'turned {"right" if degrees > 0 else "left"} by {abs(degrees)} degrees against '
               'the images', 'Is the sensor mounted askew?')


def clear(better: np.ndarray) -> float:
    """The mean of how much better single labels fit; 0 where it may be chance."""
    if len(better) < 2:
        return 0.0
    gain = float(better.mean())
    return gain if gain > max(MARGIN, ERRORS * better.std(ddof=1) / np.sqrt(len(better))) else 0.0


def fits_well(own: np.ndarray, other: np.ndarray) -> bool:
    """Return whether labels fit with something undone, and as they are clearly less."""
    return bool(other.mean() > FIT and own.mean() < NEARLY * other.mean())


def standardised(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Maps of one size as (N, h, w), each of mean 0 and length 1: products are correlations."""
    values = np.stack(maps)
    values -= values.mean((1, 2), keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=(1, 2), keepdims=True), 1e-12)
