"""From the backbone's stages to one map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.registry import MODELS


@MODELS.register_module()
class MultiScaleFusion(BaseModule):
    """All stages at half of the first one's resolution, concatenated, through one 3x3 convolution.

    Paper, Sec. 4.1. With a plain ResNet the result lies at stride 8.

    Args:
        in_channels: channels of the backbone's stages.
        out_channels: C, channels of the fused map.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    def __init__(self, in_channels: Sequence[int] = (64, 128, 256, 512), out_channels: int = 512,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.conv = nn.Conv2d(sum(in_channels), out_channels, 3, padding=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """(B, C_k, H / 2^(k+1), W / 2^(k+1)) stages, k = 1.., to (B, C, H / 8, W / 8)."""
        size = [max(side // 2, 1) for side in stages[0].shape[-2:]]
        resized = [F.interpolate(stage, size, mode='bilinear', align_corners=False)
                   for stage in stages]
        return self.conv(torch.cat(resized, 1))
