"""Pictures and labels brought to the size of the dataset."""

import cv2
import numpy as np


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average over areas: (H, W, 3) uint8 -> (height, width, 3) float32 in [0, 1]."""
    # Floats first, or each average would be rounded to a 255th.
    values = image.astype(np.float32) / 255
    return np.clip(cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA), 0, 1)


def pick_nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The values at the centres of the new pixels: (H, W, ...) -> (height, width, ...)."""
    # Not OpenCV's INTER_NEAREST, which takes the corner and so shifts labels against the image.
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(np.intp)
                     for new, old in zip(size, values.shape))
    return values[rows[:, None], columns]
