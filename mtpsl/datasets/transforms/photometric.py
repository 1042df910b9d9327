"""Random colour changes of the image."""

import cv2
import mmcv
import mmseg.datasets.transforms
import numpy as np

from mtpsl.registry import TRANSFORMS

BYTES = np.arange(256, dtype=np.uint8)
HUES = 180  # OpenCV's hue of 8-bit images is in [0, 180)


@TRANSFORMS.register_module()
class PhotoMetricDistortion(mmseg.datasets.transforms.PhotoMetricDistortion):
    """Compute mmseg's transform faster, with the same random numbers and equal results.

    Lookup tables of the 256 possible values replace computation per pixel. Arguments: see mmseg.
    """

    def convert(self, img: np.ndarray, alpha: float = 1, beta: float = 0) -> np.ndarray:
        """Return ``img * alpha + beta``, clipped to 0..255, for (H, W) or (H, W, 3) uint8."""
        return cv2.LUT(np.ascontiguousarray(img), super().convert(BYTES, alpha, beta))

    def hue(self, img: np.ndarray) -> np.ndarray:
        """Shift the hue of (H, W, 3) uint8 BGR at random, or leave it; 0 leaves all."""
        if not np.random.randint(2) or not self.hue_delta:
            return img
        hue, saturation, value = cv2.split(mmcv.bgr2hsv(img))
        turned = (BYTES.astype(int) + np.random.randint(-self.hue_delta, self.hue_delta)) % HUES
        return mmcv.hsv2bgr(cv2.merge([cv2.LUT(hue, turned.astype(np.uint8)), saturation, value]))
