"""Depth estimation."""

import cv2
import numpy as np
import torch
from torch import Tensor

from mtpsl.registry import TASKS

from .base import UNKNOWN_COLOUR, Label, Task, masked_mean

MILLIMETRE = 1e-3


@TASKS.register_module()
class Depth(Task):
    """Metric depth by L1, scored by the mean absolute error (metres).

    Label and public prediction: metres; 0 is unknown.

    Args:
        loss_weight: see :class:`Task`.
        max_display: depth in metres at the far end of the colour map.
        picture_unit: metres of one step of a depth saved as a picture of integers, > 0; None for
            millimetres, which take more than 8 bits.
        code_normal: mean and standard deviation in metres: depth enters an auxiliary network as
            the normal distribution's share below it (JTR). None: as depth over the map's largest
            (XTC).
    """

    unit = ' m'
    smallest = MILLIMETRE
    channels = 1
    fill = 0.0
    headline = 'absErr'
    higher_is_better = False

    def __init__(self, loss_weight: float = 1.0, max_display: float = 10.0,
                 picture_unit: float | None = None,
                 code_normal: tuple[float, float] | None = None) -> None:
        super().__init__(loss_weight)
        if code_normal is not None and not (len(code_normal) == 2 and code_normal[1] > 0):
            raise ValueError(f'{type(self).__name__}: code_normal must be (mean, deviation > 0) or '
                             f'None, got {code_normal}')
        self.code_normal = code_normal
        for name, value in (('max_display', max_display), ('picture_unit', picture_unit)):
            if value is not None and not value > 0:
                raise ValueError(f'{type(self).__name__}: {name} must be positive, got {value}')
        self.max_display = max_display
        self.picture_unit = picture_unit

    def check(self, label: np.ndarray) -> None:
        if not np.isfinite(label).all():
            raise ValueError(f'{self.name} labels must be finite and >= 0 (0 = unknown), got NaN '
                             'or infinity')
        if (label < 0).any():
            raise ValueError(f'{self.name} labels must be finite and >= 0 (0 = unknown), got '
                             f'{label.min()} to {label.max()}')

    def from_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Integers (H, W) times ``picture_unit``; 0 is unknown."""
        if pixels.ndim != 2 or pixels.dtype.kind not in 'iu':
            raise ValueError(f'a picture of {self.name} must be integers of one channel, got '
                             f'{pixels.dtype} of shape {pixels.shape}')
        if pixels.dtype.itemsize == 1 and self.picture_unit is None:
            raise ValueError(f'a picture of {self.name} of 8 bits is too coarse; save 16 bits, or '
                             'say by picture_unit what one step is')
        unit = self.smallest if self.picture_unit is None else self.picture_unit
        return pixels.astype(np.float32) * np.float32(unit)

    def rescale(self, label: Label, scale: float | Tensor) -> Label:
        """Zooming in by ``scale`` brings the scene nearer by the same factor."""
        return label / scale

    def valid(self, label: Tensor) -> Tensor:
        return label > 0

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return masked_mean((logits - label).abs(), self.valid(label))

    def activate(self, logits: Tensor) -> Tensor:
        return logits

    def decode(self, prediction: Tensor) -> Tensor:
        """At least ``smallest``: a prediction never says "unknown"."""
        return prediction.clamp(min=self.smallest)

    def encode(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """Depth over the map's largest, or its place in ``code_normal``; unknown as depth 0."""
        return self._to_unit(super().encode(logits, known))

    def encode_label(self, label: Tensor) -> Tensor:
        return self._to_unit(super().encode_label(label))

    def _to_unit(self, depth: Tensor) -> Tensor:
        if self.code_normal is not None:
            mean, deviation = self.code_normal
            return torch.special.ndtr((depth - mean) / deviation)
        depth = depth.clamp(min=0)  # a young network predicts negative ones too
        return depth / depth.amax((1, 2, 3), keepdim=True).clamp(min=self.smallest)

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """(N, 6): count and the sums of |d|, d^2, |d| / g, d^2 / g, (log p - log g)^2, d = p - g.

        The logarithm sees predictions of at least ``smallest``.
        """
        valid = self.valid(label)
        g = torch.where(valid, label, 1).double()
        p = prediction.double()
        d = p - g
        log_ratio = p.clamp(min=self.smallest).log() - g.log()
        terms = [torch.ones_like(d), d.abs(), d.square(), d.abs() / g, d.square() / g,
                 log_ratio.square()]
        return torch.stack([torch.where(valid, term, 0).flatten(1).sum(1) for term in terms], 1)

    def score(self, stats: Tensor) -> dict[str, float]:
        total = stats.sum(0)
        mean = total / total[0]
        scores = {self.headline: mean[1], 'rmse': mean[2].sqrt(), 'absRel': mean[3],
                  'sqRel': mean[4], 'logRmse': mean[5].sqrt()}
        return {name: value.item() for name, value in scores.items()}

    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Near is bright, ``max_display`` and beyond dark; unknown pixels blue grey."""
        nearness = self._nearness((label[0] / self.max_display).clip(0, 1))
        picture = cv2.applyColorMap((nearness * 255).astype(np.uint8), cv2.COLORMAP_MAGMA)
        picture = picture[..., ::-1].copy()
        picture[label[0] <= 0] = UNKNOWN_COLOUR
        return picture

    def describe(self, label: np.ndarray) -> dict[str, tuple[int, int, int]]:
        values = np.array([0.1, 0.5, 1]) * self.max_display
        colours = self.colorize(values[None, None])[0].tolist()
        legend = {f'{value:g}{self.unit}': tuple(colour)
                  for value, colour in zip(values, colours)}
        return legend | ({'unknown': UNKNOWN_COLOUR} if (label <= 0).any() else {})

    def _nearness(self, share: np.ndarray) -> np.ndarray:
        """Shares of ``max_display`` as 0 (far) to 1 (near)."""
        return 1 - share
