"""From the backbone's stages to one map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.registry import MODELS

from .to_device import resize


@MODELS.register_module()
class MultiScaleFusion(BaseModule):
    """All stages at one resolution, concatenated, through one 3x3 convolution (paper, Sec. 4.1).

    Args:
        in_channels: channels of the backbone's stages.
        out_channels: C, channels of the fused map.
        scale: resolution of the fused map over the first stage's: with a plain ResNet 0.5, as
            released, is stride 8; 1 is stride 4.
        shortcut: convolve the coarse stages at their own resolution: the same values with a
            fraction of the multiply-adds. False is as the paper counts.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    def __init__(self, in_channels: Sequence[int] = (64, 128, 256, 512), out_channels: int = 512,
                 scale: float = 0.5, shortcut: bool = True,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not 0 < scale <= 1:
            raise ValueError(f'scale must be in (0, 1], got {scale}')
        self.in_channels = tuple(in_channels)
        self.scale = scale
        self.shortcut = shortcut
        self.conv = nn.Conv2d(sum(in_channels), out_channels, 3, padding=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """(B, C_k, H / 2^(k+1), W / 2^(k+1)) stages, k = 1.., to (B, C, h, w).

        Raises:
            ValueError: stages of other channels than ``in_channels``.
        """
        given = tuple(stage.shape[1] for stage in stages)
        if given != self.in_channels:
            raise ValueError(f'{type(self).__name__}: the stages of the backbone have {given} '
                             f'channels, in_channels is {self.in_channels}')
        size = [max(int(side * self.scale), 1) for side in stages[0].shape[-2:]]
        if not self.shortcut:
            return self.conv(torch.cat([resize(stage, size) for stage in stages], 1))
        coarse = [all(own < side for own, side in zip(stage.shape[-2:], size)) for stage in stages]
        fine = [resize(stage, size) for stage, skip in zip(stages, coarse) if not skip]
        kernels = self.conv.weight.split(self.in_channels, 1)
        fused = F.conv2d(
            torch.cat(fine, 1), torch.cat([k for k, skip in zip(kernels, coarse) if not skip], 1),
            self.conv.bias, padding=1)
        for stage, kernel, skip in zip(stages, kernels, coarse):
            if skip:
                fused = fused + enlarged_convolution(stage, kernel, size)
        return fused


def enlarged_convolution(maps: Tensor, kernel: Tensor, size: Sequence[int]) -> Tensor:
    """``conv2d(resize(maps, size), kernel, padding=1)`` of 3x3 kernels, worked out on the maps.

    Each tap of the kernel mixes channels only, so it may come before the resizing, which is
    linear too: one 1x1 convolution for all nine taps, then resizing with the tap's shift as a
    product with a matrix along each side.

    Args:
        maps: (B, C, h, w).
        kernel: (C_out, C, 3, 3).
        size: (H, W) to which the maps are resized, bilinear.

    Returns:
        (B, C_out, H, W).
    """
    height, width = maps.shape[-2:]
    taps = F.conv2d(maps, kernel.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None])
    taps = taps.unflatten(1, (-1, 3, 3))  # (B, C_out, dy, dx, h, w)
    rows = taps.transpose(3, 4).flatten(4).flatten(2, 3)  # (B, C_out, dy h, dx w)
    columns = rows @ _shifted_resizing(width, size[1], maps)
    return _shifted_resizing(height, size[0], maps).mT @ columns


def _shifted_resizing(short: int, long: int, like: Tensor) -> Tensor:
    """(3 short, long): what each pixel of a side gives to each one of the enlarged side, shifted
    by a tap's -1, 0, 1; beyond the ends nothing.
    """
    unit = torch.eye(short, device=like.device, dtype=like.dtype)
    share = F.interpolate(unit[None], long, mode='linear', align_corners=False)[0]
    padded = F.pad(share, (1, 1))
    return torch.cat([padded[:, tap:tap + long] for tap in range(3)])
