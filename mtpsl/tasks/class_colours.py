"""How far the classes of label maps tell the colours of their images."""

import numpy as np

STEP = 3  # between the pixels that are looked at


class ClassColours:
    """Sums the colours of the pixels of images by class.

    Attributes:
        images: how many there are.
    """

    def __init__(self) -> None:
        self.images = 0
        self._counts, self._sums, self._squares = np.zeros(256), np.zeros((256, 3)), np.zeros(3)

    def add(self, image: np.ndarray, label: np.ndarray, ignore_value: float) -> None:
        """Take an image (H, W, 3) and its class map (H, W) uint8."""
        known = label[::STEP, ::STEP] != ignore_value
        colours = image[::STEP, ::STEP][known].astype(np.float64)
        classes = label[::STEP, ::STEP][known]
        self.images += 1
        self._counts += np.bincount(classes, minlength=256)
        self._sums += np.stack([np.bincount(classes, one, 256) for one in colours.T], 1)
        self._squares += (colours ** 2).sum(0)

    def include(self, other: 'ClassColours') -> None:
        """Add those of others."""
        self.images += other.images
        self._counts += other._counts
        self._sums += other._sums
        self._squares += other._squares

    @property
    def explained(self) -> float:
        """Return the share of the variance of all colours that the classes explain, 0 to 1."""
        pixels = max(self._counts.sum(), 1)
        mean = self._sums.sum(0) / pixels
        means = self._sums / np.maximum(self._counts, 1)[:, None]
        whole = self._squares.sum() / pixels - mean @ mean
        between = self._counts @ ((means - mean) ** 2).sum(1) / pixels
        return float(between / whole) if whole > 1e-6 else 0.0
