"""Uncertainty maps as pictures."""

import cv2
import numpy as np

LEAST = 1e-6  # a spread below it is none: rounding


def paint_uncertainty(spread: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Dark where the draws agree, bright where they differ; also in grey.

    Args:
        spread: (H, W) standard deviation, in the unit of the task's predictions.
        largest: what is brightest; the map's own maximum if None.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    largest = float(spread.max()) if largest is None else largest
    level = np.clip(spread / max(largest, LEAST), 0, 1)
    return cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
