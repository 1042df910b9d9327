"""The denoiser: one step for all (sample, task) pairs of a batch together.

Shapes: B samples, P = sum over tasks of N_t pairs ordered by task, C channels, h x w the maps
(stride 8), L tokens of the maps at a quarter of their resolution.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.models.aligned_conv import AlignedConv2d
from mtpsl.models.checkpoint_module import checkpoint_module

from .blocks import CrossAttentionBlock, SelfAttentionBlock, StepEmbedding


class Embedding(AlignedConv2d):
    """A task's 3x3 convolution of its noisy map."""


class Head(nn.Sequential):
    """1x1 convolution, ``head_convs`` times (3x3, ReLU), and a 1x1 to ``out_channels``.

    Overrides ``forward`` because ``torch.compile`` skips calls of torch's own modules.
    """

    def __init__(self, channels: int, head_convs: int, out_channels: int | None) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, channels, 1)]
        for _ in range(head_convs):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
        if out_channels is not None:
            layers.append(AlignedConv2d(channels, out_channels, 1))
        super().__init__(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps)


class Denoiser(BaseModule):
    """Task-specific input and output convolutions around shared transformer blocks (paper, Fig. 4).

    In a step, each task's convolutions run once on its pairs, the shared blocks once on all pairs
    of all tasks. There are no batch statistics, so the result equals that of denoising each pair
    alone.

    With g_t the network up to and including the head of task t, a step predicts

        X_0 = g_t(X_s, s, F_cond)            as published;
        X_0 = X_s + g_t(X_s, s, F_cond)      with ``residual``.

    The published head has four convolutions without normalisation, in PyTorch's initialisation,
    which initially pass 1.4 % of their input's deviation: the network first has to learn the
    identity. The residual step predicts the correction of X_s instead. Its last convolution starts
    at zero, so X_0 starts as X_s; the embeddings and the other convolutions of the heads have
    Kaiming initialisation, so that the correction learns from the start.

    Args:
        in_channels: task name -> channels of its noisy map.
        out_channels: task name -> channels of its denoised map; None keeps the C channels of the
            output convolutions.
        channels: C.
        num_blocks: transformer blocks.
        num_heads: heads of their attention.
        ffn_ratio: hidden channels of their feed-forward layers over C.
        head_convs: 3x3 convolutions of a task's output, after the 1x1 one.
        conditioned: cross-attention on a condition feature; otherwise self-attention.
        with_cp: store only the inputs of blocks and heads for the backward pass.
        residual: predict the correction of X_s; a step returns as many channels as it takes.

    Raises:
        ValueError: ``residual`` with different ``in_channels`` and ``out_channels``.
    """

    REDUCTION = 4  # the blocks work at a quarter of the maps' resolution

    def __init__(self, in_channels: Mapping[str, int], out_channels: Mapping[str, int] | None,
                 channels: int, num_blocks: int, num_heads: int, ffn_ratio: int, head_convs: int,
                 conditioned: bool, with_cp: bool = False, residual: bool = False) -> None:
        super().__init__()
        if residual and out_channels != in_channels:
            raise ValueError('a residual step returns the channels that it takes: out_channels '
                             f'must be {in_channels}, got {out_channels}')
        self.with_cp = with_cp
        self.residual = residual
        self.embed = nn.ModuleDict({
            name: Embedding(c, channels, 3, padding=1) for name, c in in_channels.items()})
        self.step_embedding = StepEmbedding(channels)
        block = CrossAttentionBlock if conditioned else SelfAttentionBlock
        self.blocks = nn.ModuleList(
            block(channels, num_heads, ffn_ratio) for _ in range(num_blocks))
        self.heads = nn.ModuleDict({
            name: Head(channels, head_convs, None if out_channels is None else out_channels[name])
            for name in in_channels})
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Initialise linear layers Xavier-uniform with zero bias, the step embedding N(0, 0.02)."""
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for layer in self.step_embedding.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        if self.residual:
            self._start_from_identity()

    def _start_from_identity(self) -> None:
        """Initialise embeddings and heads by Kaiming's rule, each head's last layer with zero."""
        for module in (*self.embed.modules(), *self.heads.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # not None
        for head in self.heads.values():
            nn.init.zeros_(head[-1].weight)  # type: ignore[index]  # a Sequential

    def tokens(self, maps: Tensor) -> Tensor:
        """Convert (P, C, h, w) maps to (P, L, C) tokens at a quarter of the resolution."""
        size = [max(side // self.REDUCTION, 1) for side in maps.shape[-2:]]
        maps = F.interpolate(maps, size, mode='bilinear', align_corners=False)
        return maps.flatten(2).transpose(1, 2)

    def forward(self, noisy: Mapping[str, Tensor], s: int,
                condition: Tensor | None) -> dict[str, Tensor]:
        """Predict the clean maps X_0 from X_s.

        Args:
            noisy: X_s by task, (N_t, C_t, h, w); N_t may be 0.
            s: the step, S..1.
            condition: tokens of F_cond of each pair, (P, L, C); None without condition.

        Returns:
            X_0 by task, (N_t, C_out, h, w).
        """
        step = self.step_embedding(s)[:, None, None]
        embedding = torch.cat([self.embed[name](x) for name, x in noisy.items()]) + step
        tokens = self.tokens(embedding)
        if condition is None:
            for block in self.blocks:
                tokens = self._call(block, tokens)
        else:
            stream = tokens
            tokens = condition
            for block in self.blocks:
                tokens, stream = self._call(block, tokens, stream)
        height, width = embedding.shape[-2:]
        maps = tokens.transpose(1, 2).unflatten(
            2, (max(height // self.REDUCTION, 1), max(width // self.REDUCTION, 1)))
        maps = embedding + F.interpolate(maps, (height, width), mode='bilinear',
                                         align_corners=False)
        parts = maps.split([len(x) for x in noisy.values()])
        x_0 = {name: self._call(self.heads[name], part) for name, part in zip(noisy, parts)}
        return {name: noisy[name] + x_0[name] for name in x_0} if self.residual else x_0

    def _call(self, module: nn.Module, *inputs: Tensor) -> Any:
        return checkpoint_module(module, *inputs) if self.with_cp else module(*inputs)
