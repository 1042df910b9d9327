"""From the backbone's stages to one map."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.registry import MODELS


@MODELS.register_module()
class MultiScaleFusion(BaseModule):
    """All stages at one resolution, concatenated, through one 3x3 convolution (paper, Sec. 4.1).

    Args:
        in_channels: channels of the backbone's stages.
        out_channels: C, channels of the fused map.
        scale: resolution of the fused map over the first stage's: with a plain ResNet 0.5, as
            released, is stride 8; 1 is stride 4.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    def __init__(self, in_channels: Sequence[int] = (64, 128, 256, 512), out_channels: int = 512,
                 scale: float = 0.5, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not 0 < scale <= 1:
            raise ValueError(f'scale must be in (0, 1], got {scale}')
        self.scale = scale
        self.conv = nn.Conv2d(sum(in_channels), out_channels, 3, padding=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """(B, C_k, H / 2^(k+1), W / 2^(k+1)) stages, k = 1.., to (B, C, h, w)."""
        size = [max(int(side * self.scale), 1) for side in stages[0].shape[-2:]]
        resized = [F.interpolate(stage, size, mode='bilinear', align_corners=False)
                   for stage in stages]
        return self.conv(torch.cat(resized, 1))
