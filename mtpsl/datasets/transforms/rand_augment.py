"""RandAugment without geometric operations, as JTR applies it to its views."""

from collections.abc import Callable
from numbers import Integral

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mtpsl.registry import TRANSFORMS

BINS = 31  # number of magnitudes, from none to the largest


def _enhance(adjust: Callable[[np.ndarray, float], np.ndarray]) -> Callable:
    """Blend with a degenerate image by a factor 1 - 0.9 m or 1 + 0.9 m, with equal probability."""
    def apply(image: np.ndarray, share: float) -> np.ndarray:
        sign = 1 if np.random.rand() < 0.5 else -1
        return adjust(image, 1 + sign * 0.9 * share)
    return apply


# name -> (image, magnitude as a share of the largest) -> image
OPERATIONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = dict(
    identity=lambda image, share: image,
    brightness=_enhance(mmcv.adjust_brightness),
    color=_enhance(mmcv.adjust_color),
    contrast=_enhance(mmcv.adjust_contrast),
    sharpness=_enhance(mmcv.adjust_sharpness),
    posterize=lambda image, share: mmcv.posterize(image, 8 - round(4 * share)),
    # 255 * (1 - share) would not be exactly integer in floating point.
    solarize=lambda image, share: mmcv.solarize(image, thr=255 - 255 * share),
    autocontrast=lambda image, share: mmcv.auto_contrast(image),
    equalize=lambda image, share: mmcv.imequalize(image))


@TRANSFORMS.register_module()
class RandAugment(BaseTransform):
    """Apply random photometric operations in sequence (Cubuk et al. 2020); labels are unchanged.

    Identity, brightness, color, contrast, sharpness, posterize, solarize, autocontrast and
    equalize, with torchvision's ranges. The defaults, two weak operations, are those of JTR
    (arXiv:2404.01976).

    Args:
        num_ops: number of operations, at least 1, drawn with replacement.
        max_magnitude: largest of the 31 magnitudes, 0 to 30; drawn uniformly from 0 to this.
    """

    def __init__(self, num_ops: int = 2, max_magnitude: int = 5) -> None:
        if not (isinstance(num_ops, (int, Integral)) and num_ops >= 1):
            raise ValueError(f'RandAugment: num_ops must be an integer of at least 1, got '
                             f'{num_ops!r}')
        if not (isinstance(max_magnitude, (int, Integral)) and 0 <= max_magnitude < BINS):
            raise ValueError(f'RandAugment: max_magnitude must be an integer from 0 to {BINS - 1}, '
                             f'got {max_magnitude!r}')
        self.num_ops = num_ops
        self.max_magnitude = max_magnitude

    def transform(self, results: dict) -> dict:
        """Change ``img``, (H, W, 3) uint8, in place."""
        for name in np.random.choice(list(OPERATIONS), self.num_ops):
            share = np.random.randint(self.max_magnitude + 1) / (BINS - 1)
            results['img'] = OPERATIONS[name](results['img'], share).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_ops={self.num_ops}, '
                f'max_magnitude={self.max_magnitude})')
