"""Transformer blocks and the step embedding of the denoiser.

Shapes: P (sample, task) pairs, L tokens, C channels.
"""

import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


class FeedForward(nn.Sequential):
    """Linear, GELU, Linear, with ``ratio`` times as many hidden channels."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__(nn.Linear(channels, ratio * channels), nn.GELU(),
                         nn.Linear(ratio * channels, channels))


class Attention(BaseModule):
    """Multi-head attention without bias on q, k and v.

    Args:
        channels: C.
        num_heads: number of heads.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f'channels must be a multiple of num_heads = {num_heads}, got '
                             f'{channels}')
        self.num_heads = num_heads
        self.q = nn.Linear(channels, channels, bias=False)
        self.kv = nn.Linear(channels, 2 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(self, query: Tensor, key_value: Tensor) -> Tensor:
        """Attend from queries (P, L, C) to keys and values (P, L, C); return (P, L, C)."""
        q = self.q(query).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.kv(key_value).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class CrossAttentionBlock(BaseModule):
    """Cross-attention from condition c to task embedding e (paper, Eq. 4); updates both.

    e = e + FFN_e(LN(e)); c = c + Attn(q = LN(c), kv = LN(e)); c = c + FFN_c(LN(c)).

    Args:
        channels: C of both streams.
        num_heads: heads of the attention.
        ffn_ratio: hidden channels of the feed-forward layers over C.
    """

    def __init__(self, channels: int, num_heads: int, ffn_ratio: int) -> None:
        super().__init__()
        self.norm_embedding_ffn = nn.LayerNorm(channels)
        self.ffn_embedding = FeedForward(channels, ffn_ratio)
        self.norm_query = nn.LayerNorm(channels)
        self.norm_embedding = nn.LayerNorm(channels)
        self.attention = Attention(channels, num_heads)
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, ffn_ratio)

    def forward(self, condition: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Update condition and embedding, (P, L, C) each."""
        embedding = embedding + self.ffn_embedding(self.norm_embedding_ffn(embedding))
        condition = condition + self.attention(self.norm_query(condition),
                                               self.norm_embedding(embedding))
        return condition + self.ffn(self.norm_ffn(condition)), embedding


class SelfAttentionBlock(BaseModule):
    """e = e + Attn(LN(e)); e = e + FFN(LN(e)): the block of "w/o Multi-Task Cond".

    Args:
        channels: C.
        num_heads: heads of the attention.
        ffn_ratio: hidden channels of the feed-forward layer over C.
    """

    def __init__(self, channels: int, num_heads: int, ffn_ratio: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(channels)
        self.attention = Attention(channels, num_heads)
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, ffn_ratio)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (P, L, C) to (P, L, C)."""
        normed = self.norm_attention(embedding)
        embedding = embedding + self.attention(normed, normed)
        return embedding + self.ffn(self.norm_ffn(embedding))


class StepEmbedding(BaseModule):
    """Embed the step s: sinusoids of 256 dimensions, then a two-layer MLP.

    Args:
        channels: C of the vector.
    """

    DIMENSIONS = 256
    MAX_PERIOD = 10000

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(self.DIMENSIONS, channels), nn.SiLU(),
                                 nn.Linear(channels, channels))
        half = self.DIMENSIONS // 2
        frequency = torch.exp(-math.log(self.MAX_PERIOD) / half * torch.arange(half))
        self.register_buffer('frequency', frequency, persistent=False)

    def forward(self, s: int) -> Tensor:
        """Embed step s = S..1 (zero-based inside) as (C,)."""
        angle = (s - 1) * self.frequency
        return self.mlp(torch.cat([angle.cos(), angle.sin()]))
