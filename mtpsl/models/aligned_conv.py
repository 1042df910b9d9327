"""A convolution of any number of channels at the speed of tensor cores."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ALIGNMENT = 8  # channels, 16 bytes of bfloat16: what tensor cores load at once


class AlignedConv2d(nn.Conv2d):
    """A convolution by :func:`aligned_conv2d`, with the weights of :class:`torch.nn.Conv2d`."""

    def forward(self, maps: Tensor) -> Tensor:
        return aligned_conv2d(maps, self.weight, self.bias, self.stride, self.padding)


def aligned_conv2d(maps: Tensor, weight: Tensor, bias: Tensor | None,
                   stride: int | Sequence[int] = 1,
                   padding: int | str | Sequence[int] = 0) -> Tensor:
    """Convolve like :func:`torch.nn.functional.conv2d`; in training on a GPU with padded channels.

    Maps of tasks have 1, 3, 7 or 21 channels. The gradients of such weights are made by kernels
    that load one value at a time; with zeros up to a multiple of 8 channels they are several times
    as fast, and equal.
    """
    if not (maps.is_cuda and torch.is_grad_enabled()):
        return F.conv2d(maps, weight, bias, stride, padding)
    return padded_conv2d(maps, weight, bias, stride, padding)


def padded_conv2d(maps: Tensor, weight: Tensor, bias: Tensor | None,
                  stride: int | Sequence[int], padding: int | str | Sequence[int]) -> Tensor:
    """Convolve (N, C_in, h, w) to (N, C_out, h', w'), both padded in between."""
    out_channels, in_channels = weight.shape[:2]
    more_out, more_in = -out_channels % ALIGNMENT, -in_channels % ALIGNMENT
    if more_in:
        maps = F.pad(maps, (0, 0, 0, 0, 0, more_in))
    if more_in or more_out:
        weight = F.pad(weight, (0, 0, 0, 0, 0, more_in, 0, more_out))
    if more_out and bias is not None:
        bias = F.pad(bias, (0, more_out))
    return F.conv2d(maps, weight, bias, stride, padding)[:, :out_channels]
