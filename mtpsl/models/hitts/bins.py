"""Regression by classification: predict values as expectations over bins (HiTTs).

Shapes: N samples, K bins, C channels of the values, H x W pixels.
"""

import math

import torch
from torch import Tensor, nn

from mtpsl.registry import MODELS

UNKNOWN = 255  # bin of an unknown pixel


class Bins(nn.Module):
    """K values of C channels, and their expectation under a softmax over the bins.

    Args:
        values: (K, C) float64.
    """

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        # Not persistent: the config defines them, not the weights.
        self.register_buffer('values', values.float(), persistent=False)
        self.channels, self.value_channels = values.shape

    def forward(self, scores: Tensor) -> Tensor:
        """Convert logits (N, K, H, W) of the bins to the expectation (N, C, H, W), in float32."""
        share = scores.to(self.values.dtype).softmax(1)
        # No matrix product, which mixed precision would compute in bfloat16.
        return torch.stack([(share * own[:, None, None]).sum(1) for own in self.values.T], 1)

    def target(self, label: Tensor, valid: Tensor) -> Tensor:
        """Find the nearest bin of each pixel.

        Args:
            label: (N, C, H, W).
            valid: (N, 1, H, W) bool.

        Returns:
            (N, H, W) long; ``UNKNOWN`` where the pixel is not valid.
        """
        return torch.where(valid[:, 0], self.nearest(label), UNKNOWN)

    def nearest(self, label: Tensor) -> Tensor:
        """Return the bin indices (N, H, W) of values (N, C, H, W)."""
        raise NotImplementedError

    def limits(self) -> tuple[float, float] | None:
        """Return the least and the largest value of one channel; None for vectors."""
        if self.value_channels > 1:
            return None
        return self.values.min().item(), self.values.max().item()


@MODELS.register_module()
class DepthBins(Bins):
    """Depth or inverse depth in bins of equal width in the logarithm; limits the predictions.

    Args:
        low: smallest value, in the task's unit, > 0.
        high: largest value.
        num: K, from 2 to 255.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, low: float, high: float, num: int) -> None:
        if not (0 < low < high < math.inf and 2 <= num <= UNKNOWN):
            raise ValueError('DepthBins: low and high must be 0 < low < high and num from 2 to '
                             f'{UNKNOWN}, got {low}, {high} and {num}')
        logs = torch.linspace(math.log(low), math.log(high), num, dtype=torch.float64)
        super().__init__(logs.exp()[:, None])

    def nearest(self, label: Tensor) -> Tensor:
        values = self.values[:, 0]
        return torch.bucketize(label[:, 0].contiguous(), (values[1:] + values[:-1]) / 2)


@MODELS.register_module()
class DirectionBins(Bins):
    """Unit vectors: a Fibonacci lattice on the half-sphere towards the viewer, and (0, 0, -1).

    Args:
        num: K, from 3 to 255.

    Raises:
        ValueError: ``num`` is out of range.
    """

    def __init__(self, num: int = 40) -> None:
        if not 3 <= num <= UNKNOWN:
            raise ValueError(f'DirectionBins: num must be from 3 to {UNKNOWN}, got {num}')
        step = torch.arange(num - 1, dtype=torch.float64)
        z = (step + 0.5) / (num - 1)
        turn = math.pi * (3 - math.sqrt(5)) * step  # the golden angle
        radius = (1 - z.square()).sqrt()
        front = torch.stack([radius * turn.cos(), radius * turn.sin(), z], 1)
        super().__init__(torch.cat([front, torch.tensor([[0, 0, -1.0]])]))

    def forward(self, scores: Tensor) -> Tensor:
        """Convert logits (N, K, H, W) to the direction of their expectation, (N, 3, H, W)."""
        mean = super().forward(scores)
        return mean * mean.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt()

    def nearest(self, label: Tensor) -> Tensor:
        x, y, z = self.values.T[..., None, None]
        return (x * label[:, :1] + y * label[:, 1:2] + z * label[:, 2:]).argmax(1)
