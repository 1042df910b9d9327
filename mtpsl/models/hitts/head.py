"""The head of one task (HiTTs): ASPP, attention with the task token, scores by fine tokens.

Shapes: B samples, maps of h x w at stride 4, D channels of a head, K scores.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mtpsl.models.checkpoint_module import checkpoint_module
from mtpsl.models.to_device import resize

from .tokens import conv_norm_relu

HIDDEN = 128  # width of the MLP over the scores


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, dilated 3x3 and global branches through one 1x1.

    Args:
        in_channels: channels of the feature.
        channels: D.
        dilations: dilations of the 3x3 branches.
        norm_cfg: normalisation config of mmcv.
    """

    def __init__(self, in_channels: int, channels: int, dilations: Sequence[int],
                 norm_cfg: dict) -> None:
        super().__init__()
        self.point = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg)
        self.dilated = nn.ModuleList(
            ConvModule(in_channels, channels, 3, padding=rate, dilation=rate, norm_cfg=norm_cfg)
            for rate in dilations)
        self.whole = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg)
        self.fuse = ConvModule((2 + len(dilations)) * channels, channels, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, D, h, w)."""
        whole = self.whole(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.fuse(torch.cat([self.point(x), *(one(x) for one in self.dilated), whole], 1))


class TokenProjection(nn.Module):
    """Project pixels at half resolution and the token to the rows of queries, keys or values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 2, stride=2, groups=channels, bias=False)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor, token: Tensor) -> Tensor:
        """Map (B, D, h, w) and (D,) to (B, h / 2 w / 2 + 1, D)."""
        rows = self.conv(x).flatten(2).transpose(1, 2)
        last = token.to(rows.dtype).expand(len(x), 1, -1)
        return self.linear(torch.cat([rows, last], 1))


class TokenAttention(nn.Module):
    """Single-head self-attention over all pixels and the token, which updates both.

    Args:
        channels: D.
        token_over_batch: average the token over the batch, as the published code does; a
            prediction then depends on the other images of its batch.
        norm_cfg: normalisation config of mmcv.
    """

    def __init__(self, channels: int, token_over_batch: bool, norm_cfg: dict) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.query, self.key, self.value = (TokenProjection(channels) for _ in range(3))
        self.pixels = nn.Linear(channels, channels)
        self.token = nn.Linear(channels, channels)
        self.fuse = conv_norm_relu(channels, norm_cfg)
        self.token_over_batch = token_over_batch

    def forward(self, x: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, D, h, w) and (D,) to the task's feature (B, D, h, w) and token (B, D)."""
        x = self.conv(x)
        rows = [part(x, token)[:, None] for part in (self.query, self.key, self.value)]
        out = F.scaled_dot_product_attention(*rows)[:, 0]
        own = out[:, -1]
        if self.token_over_batch:
            own = own.mean(0, keepdim=True).expand_as(own)
        size = [side // 2 for side in x.shape[-2:]]
        maps = self.pixels(out[:, :-1]).transpose(1, 2).unflatten(2, size)
        return self.fuse(resize(maps, x.shape[-2:]) + x), self.token(own)


class TokenScores(nn.Module):
    """Predict scores: a convolution of the feature times its product with one token per score.

    Args:
        channels: D.
        scores: K.
    """

    def __init__(self, channels: int, scores: int) -> None:
        super().__init__()
        self.embed = nn.Linear(scores, channels)  # of the one-hot vectors of the scores
        self.perceptron = nn.Sequential(
            nn.Linear(scores, HIDDEN), nn.LayerNorm(HIDDEN), nn.GELU(),
            nn.Linear(HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN), nn.GELU(), nn.Linear(HIDDEN, scores))
        self.reduce = nn.Conv2d(channels, channels, 1, groups=channels)
        self.point = nn.Conv2d(channels, scores, 1)
        self.predict = nn.Conv2d(scores, scores, 3, padding=1)

    def forward(self, feature: Tensor, token: Tensor) -> Tensor:
        """Map (B, D, h, w) and (B, D) to (B, K, h, w).

        The MLP acts along the scores, equally for each of the D channels.
        """
        embedding = self.embed.weight + self.embed.bias[:, None]
        tokens = self.perceptron(token[..., None] + embedding)  # (B, D, K)
        score = F.softplus(torch.einsum('bdhw,bdk->bkhw', self.reduce(feature), tokens))
        return self.predict(self.point(feature) * score)


class TokenHead(nn.Module):
    """The head of one task.

    Args:
        in_channels: channels of its input feature.
        channels: D.
        scores: K.
        dilations: see :class:`ASPP`.
        dropout: probability after :class:`ASPP`.
        token_over_batch: see :class:`TokenAttention`.
        norm_cfg: normalisation config of mmcv.
        with_cp: store only the inputs of its three parts for the backward pass.
    """

    def __init__(self, in_channels: int, channels: int, scores: int, dilations: Sequence[int],
                 dropout: float, token_over_batch: bool, norm_cfg: dict, with_cp: bool) -> None:
        super().__init__()
        self.aspp = ASPP(in_channels, channels, dilations, norm_cfg)
        self.dropout = nn.Dropout(dropout)
        self.attention = TokenAttention(channels, token_over_batch, norm_cfg)
        self.scores = TokenScores(channels, scores)
        self.with_cp = with_cp

    def forward(self, x: Tensor, token: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, C, h, w), (D,) to feature (B, D, h, w), token (B, D), scores (B, K, h, w)."""
        def run(part: nn.Module, *inputs: Tensor) -> Any:
            return checkpoint_module(part, *inputs) if self.with_cp else part(*inputs)

        x = self.dropout(run(self.aspp, x))  # random, so it must not be recomputed
        feature, own = run(self.attention, x, token)
        return feature, own, run(self.scores, feature, own)
