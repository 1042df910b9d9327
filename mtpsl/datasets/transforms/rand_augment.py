"""RandAugment without geometric operations, as JTR uses it on its views."""

from collections.abc import Callable
from numbers import Integral

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mtpsl.registry import TRANSFORMS

BINS = 31  # of the magnitudes, from nothing to the largest


def _enhance(adjust: Callable[[np.ndarray, float], np.ndarray]) -> Callable:
    """Blend with a degenerate image: a factor 1 - 0.9 m or 1 + 0.9 m, either as likely."""
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
    # Not 255 * (1 - share), which is not whole in floats where it should be.
    solarize=lambda image, share: mmcv.solarize(image, thr=255 - 255 * share),
    autocontrast=lambda image, share: mmcv.auto_contrast(image),
    equalize=lambda image, share: mmcv.imequalize(image))


@TRANSFORMS.register_module()
class RandAugment(BaseTransform):
    """A few random photometric operations in a row (Cubuk et al. 2020); labels stay as they are.

    Identity, brightness, color, contrast, sharpness, posterize, solarize, autocontrast and
    equalize, with torchvision's ranges; JTR (arXiv:2404.01976) takes two of them with weak
    magnitudes, which are the defaults.

    Args:
        num_ops: operations in a row, at least 1, drawn with replacement.
        max_magnitude: the magnitude is one of 0..this of 31 bins, uniformly; at most 30.
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
