"""Decoders of HiTTs: task tokens over the backbone's stages, one head per task."""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.models.stages import check_order
from mtpsl.registry import MODELS
from mtpsl.tasks import Task

from .bins import Bins
from .head import TokenHead
from .tokens import TaskTokens


class HeadOutput(NamedTuple):
    """The output of a task's head.

    Attributes:
        feature: f, (B, D, h, w).
        token: h', (B, D).
        scores: logits of the task's bins, or of the task if it has none, (B, K, h, w).
    """

    feature: Tensor
    token: Tensor
    scores: Tensor

    def relevance(self) -> Tensor:
        """Return sigmoid <f, h'>, the agreement of token and feature, (B, 1, h, w)."""
        product = self.feature.float() * self.token.float()[..., None, None]
        return product.sum(1, keepdim=True).sigmoid()


@MODELS.register_module()
class TokenDecoders(BaseModule):
    """Hierarchical task tokens and heads (arXiv:2411.18823), on a backbone's stages.

    Args:
        tasks: task name -> task.
        in_channels: channels of the stages, finest first.
        channels: input channels of a head.
        head_channels: D.
        bins: task name -> config of its bins; other tasks are predicted directly.
        dilations: dilations of the heads' ASPP.
        dropout: probability after the ASPP.
        train_tokens: whether to train the global tokens.
        token_over_batch: whether to average each token over the batch.
        norm_cfg: normalisation config of mmcv.
        with_cp: gradient checkpointing of the heads: less memory, more computation.
        init_cfg: see :class:`mmengine.model.BaseModule`; None for Xavier-normal.

    For parity with the published code set ``train_tokens=False`` and ``token_over_batch=True``.

    Raises:
        ValueError: bins of an unknown task, or with other channels than the task's.
    """

    def __init__(self, tasks: Mapping[str, Task],
                 in_channels: Sequence[int] = (64, 128, 256, 512), channels: int = 512,
                 head_channels: int = 256, bins: Mapping[str, dict] | None = None,
                 dilations: Sequence[int] = (12, 24, 36), dropout: float = 0.5,
                 train_tokens: bool = True, token_over_batch: bool = False,
                 norm_cfg: dict | None = None, with_cp: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg or dict(
            type='Xavier', layer=['Conv2d', 'Linear'], distribution='normal'))
        norm_cfg = norm_cfg or dict(type='BN')
        self.in_channels = tuple(in_channels)
        built = self._build_bins(tasks, bins or {})
        self.bins = nn.ModuleDict(built)
        self.tokens = TaskTokens(list(tasks), self.in_channels, channels, head_channels, norm_cfg,
                                 train_tokens)
        self.heads = nn.ModuleDict({
            name: TokenHead(channels, head_channels,
                            built[name].channels if name in built else task.channels, dilations,
                            dropout, token_over_batch, norm_cfg, with_cp)
            for name, task in tasks.items()})

    def _build_bins(self, tasks: Mapping[str, Task], bins: Mapping[str, dict]) -> dict[str, Bins]:
        owner = type(self).__name__
        unknown = [name for name in bins if name not in tasks]
        if unknown:
            raise ValueError(f'{owner}: bins must be for some of the tasks {list(tasks)}, got '
                             f'{unknown[0]!r}')
        built = {name: MODELS.build(bins[name]) for name in tasks if name in bins}
        for name, own in built.items():
            if own.value_channels != tasks[name].channels:
                raise ValueError(f'{owner}: bins.{name} is a {type(own).__name__}, whose values '
                                 f'have {own.value_channels} channels, but {name} has '
                                 f'{tasks[name].channels}')
        return built

    def forward(self, stages: Sequence[Tensor], learning: Container[str] | None = None,
                tasks: Container[str] | None = None,
                ) -> tuple[dict[str, HeadOutput], dict[str, Tensor]]:
        """Compute head outputs and logits (B, C_t, h, w) by task from the stages, at stride 4.

        The logits of a task with bins are the expectation over them.

        Args:
            stages: (B, C, h, w) each, finest first.
            learning: tasks that need gradients; the graphs of others are dropped. None is all.
            tasks: tasks to decode; None is all.

        Raises:
            ValueError: the stages do not have ``in_channels`` channels, or are not finest first.
        """
        given = tuple(stage.shape[1] for stage in stages)
        if given != self.in_channels:
            raise ValueError(f'{type(self).__name__}: the stages of the backbone have {given} '
                             f'channels, but in_channels is {self.in_channels}')
        check_order('the backbone', stages)
        outputs, logits = {}, {}
        for name, (feature, token) in self.tokens(stages, learning, tasks).items():
            with torch.set_grad_enabled(torch.is_grad_enabled()
                                        and (learning is None or name in learning)):
                outputs[name] = HeadOutput(*self.heads[name](feature, token))
                scores = outputs[name].scores
                logits[name] = self.bins[name](scores) if name in self.bins else scores
        return outputs, logits
