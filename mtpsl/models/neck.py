"""Fuse the backbone's stages to one map."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.registry import MODELS

from .to_device import resize

STRIDE = 8  # of the maps of decoders and denoiser, as in the published code


@MODELS.register_module()
class MultiScaleFusion(BaseModule):
    """Concatenate all stages at one resolution and apply a 3x3 convolution (paper, Sec. 4.1).

    If the config does not set ``in_channels`` and ``in_stride``, the model sets them from its
    backbone.

    Args:
        in_channels: channels of the backbone's stages.
        out_channels: C, channels of the fused map.
        scale: resolution of the fused map relative to the first stage; None derives it from
            ``stride``.
        shortcut: convolve coarse stages at their own resolution: equal values with a fraction of
            the multiply-adds. False computes as the paper counts.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        in_stride: stride of the first stage, in image pixels.
        stride: stride of the fused map, at least 1; None is 8, as published.
    """

    def __init__(self, in_channels: Sequence[int] = (64, 128, 256, 512), out_channels: int = 512,
                 scale: float | None = None, shortcut: bool = True, init_cfg: dict | None = None,
                 in_stride: float = 4, stride: float | None = None) -> None:
        super().__init__(init_cfg)
        if scale is not None and stride is not None:
            raise ValueError(f'{type(self).__name__}: scale and stride both set the size of the '
                             f'fused map, got {scale} and {stride}; leave one out')
        if scale is not None and not scale > 0:
            raise ValueError(f'scale must be positive, got {scale}')
        if stride is not None and not stride >= 1:
            raise ValueError(f'stride must be at least 1, got {stride}')
        self.in_channels = tuple(in_channels)
        self.scale = scale or in_stride / (stride or STRIDE)
        self.shortcut = shortcut
        self.conv = nn.Conv2d(sum(in_channels), out_channels, 3, padding=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Fuse stages (B, C_k, H_k, W_k), finest first, to (B, C, h, w).

        Raises:
            ValueError: the stages do not have ``in_channels`` channels.
        """
        check_channels(type(self).__name__, [stage.shape[1] for stage in stages], self.in_channels)
        size = [max(int(side * self.scale), 1) for side in stages[0].shape[-2:]]
        if not self.shortcut:
            return self.conv(torch.cat([resize(stage, size) for stage in stages], 1))
        # Consecutive stages of one resolution form a group.
        groups: list[tuple[torch.Size | None, list[Tensor]]] = []
        for stage in stages:
            shape = _enlarged_from(stage, size)
            if not groups or groups[-1][0] != shape:
                groups.append((shape, []))
            groups[-1][1].append(stage)
        kernels = self.conv.weight.split(
            [sum(stage.shape[1] for stage in together) for _, together in groups], 1)
        fused: Any = None
        bias = self.conv.bias
        for (shape, together), kernel in zip(groups, kernels):
            if shape is None:
                maps = torch.cat([resize(stage, size) for stage in together], 1)
                part, bias = F.conv2d(maps, kernel, bias, padding=1), None
            else:
                maps = together[0] if len(together) == 1 else torch.cat(together, 1)
                part = enlarged_convolution(maps, kernel, size)
            fused = part if fused is None else fused + part
        return fused if bias is None else fused + bias[:, None, None]


def _enlarged_from(stage: Tensor, size: Sequence[int]) -> torch.Size | None:
    """Return (H, W) of a stage that is enlarged to ``size``, None for other stages."""
    shape = stage.shape[-2:]
    return shape if all(own < side for own, side in zip(shape, size)) else None


def check_channels(neck: str, stages: Sequence[int], in_channels: Sequence[int]) -> None:
    """Raise ValueError if the channels of a backbone's stages differ from ``in_channels``."""
    if tuple(stages) != tuple(in_channels):
        raise ValueError(f'{neck}: the stages of the backbone have {tuple(stages)} channels, '
                         f'in_channels is {tuple(in_channels)}; without in_channels in the config '
                         'the neck takes those of the backbone')


def enlarged_convolution(maps: Tensor, kernel: Tensor, size: Sequence[int]) -> Tensor:
    """Compute ``conv2d(resize(maps, size), kernel, padding=1)`` for 3x3 kernels on small maps.

    Each tap of the kernel mixes channels only, so it commutes with the linear resizing: one 1x1
    convolution computes all nine taps, then one matrix product per axis resizes and shifts them.

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
    across = _shifted_resizing(width, size[1], maps)
    down = across if (height, size[0]) == (width, size[1]) else _shifted_resizing(
        height, size[0], maps)
    return down.mT @ (rows @ across)


def _shifted_resizing(short: int, long: int, like: Tensor) -> Tensor:
    """Return 1-D bilinear resizing matrices for tap offsets -1, 0, 1, zero-padded.

    The shape is (3 short, long).
    """
    if type(like) is not Tensor or torch.compiler.is_compiling():  # part of a graph: do not cache
        return _make_shifted_resizing(short, long, like.device, like.dtype)
    return _kept_shifted_resizing(short, long, like.device, like.dtype)


def _make_shifted_resizing(short: int, long: int, device: torch.device,
                           dtype: torch.dtype) -> Tensor:
    unit = torch.eye(short, device=device, dtype=dtype)
    share = F.interpolate(unit[None], long, mode='linear', align_corners=False)[0]
    padded = F.pad(share, (1, 1))
    return torch.cat([padded[:, tap:tap + long] for tap in range(3)])


@lru_cache(maxsize=64)
def _kept_shifted_resizing(short: int, long: int, device: torch.device,
                           dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # training may use it too
        return _make_shifted_resizing(short, long, device, dtype)
