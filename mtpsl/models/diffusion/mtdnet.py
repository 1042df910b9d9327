"""MTDNet: the multi-task denoising diffusion network, for predictions or for features.

Shapes: B samples, N_t of them diffused for task t, P = sum of N_t pairs, C channels, C_t
channels of task t's logits, S steps, h x w the maps at stride 8.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from typing import cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.models.aligned_conv import AlignedConv2d
from mtpsl.registry import MODELS
from mtpsl.tasks import Task

from .condition import Condition
from .denoiser import Denoiser


class MTDNet(BaseModule):
    """Add noise to the initial maps of selected pairs and denoise them in steps (Sec. 3.2).

    Args:
        tasks: task name -> task.
        schedule: config of the noise schedule and sampler.
        condition: config of f_cond; None is the paper's "w/o Multi-Task Cond".
        channels: C of the initial features and inside the denoiser.
        num_blocks: transformer blocks, shared by the tasks.
        num_heads: heads of their attention.
        ffn_ratio: hidden channels of their feed-forward layers over C.
        head_convs: 3x3 convolutions of a task's output. The paper says "four 3x3"; one 1x1 and
            three 3x3 match its Table 2.
        shortcut: compute F_cond directly at token resolution, see ``Condition.quarter``: equal
            values with a ninth of the multiply-adds. False computes as the paper counts.
        with_cp: gradient checkpointing of the denoiser: less memory, more computation.
        residual: a step predicts the correction of X_s, see :class:`Denoiser`; the final
            predictions then start equal to the initial ones. False is as published.
    """

    def __init__(self, tasks: Mapping[str, Task], schedule: dict | None = None,
                 condition: dict | None = None, channels: int = 512, num_blocks: int = 4,
                 num_heads: int = 4, ffn_ratio: int = 4, head_convs: int = 3,
                 shortcut: bool = True, with_cp: bool = False,
                 residual: bool = False) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.task_channels = {name: task.channels for name, task in tasks.items()}
        self.channels = channels
        self.schedule = MODELS.build(dict(type='NoiseSchedule') | (schedule or {}))
        self.condition = None if condition is None else MODELS.build(
            dict(tasks=tasks, channels=channels) | condition)
        self.denoiser = Denoiser(
            self.map_channels, self.map_channels if residual else self._denoised_channels(),
            channels, num_blocks, num_heads, ffn_ratio, head_convs, condition is not None,
            with_cp, residual)

    @property
    @abstractmethod
    def map_channels(self) -> dict[str, int]:
        """Return the channels of the diffused map of each task."""

    @abstractmethod
    def _denoised_channels(self) -> dict[str, int] | None:
        """Return the channels of a published denoising step's output; None for C."""

    @abstractmethod
    def source(self, features: Mapping[str, Tensor],
               predictions: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return X_init by task: the initial maps to diffuse."""

    def start_from(self, predict: Mapping[str, nn.Module]) -> None:
        """Initialise the output as the initial predictions, from the f_pred^t by task."""

    @abstractmethod
    def project(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute P_0 from the last step's X_0, (N_t, C_t, h, w)."""

    @abstractmethod
    def as_logits(self, maps: Mapping[str, Tensor],
                  predict: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Convert X_S to logits for display, by the convolutions f_pred^t by task."""

    def forward(self, features: Mapping[str, Tensor], predictions: Mapping[str, Tensor],
                index: Mapping[str, Tensor],
                noise: Mapping[str, Tensor] | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Diffuse and denoise the pairs in ``index`` together.

        Args:
            features: F_init by task, (B, C, h, w).
            predictions: P_init by task, (B, C_t, h, w).
            index: task name -> (N_t,) positions in the batch of the samples to denoise.
            noise: task name -> standard normal noise (N_t, D, map channels, h, w) with D =
                ``schedule.num_noise_maps``; None if D = 0.

        Returns:
            Final logits P_0 by task, (N_t, C_t, h, w), and the noisy maps X_S by task.
        """
        maps = self.trajectory(*self.prepare(features, predictions, index), noise)
        noisy = next(maps)
        x_0, = deque(maps, maxlen=1)  # keep only the last one
        return self.project(x_0), noisy

    def prepare(self, features: Mapping[str, Tensor], predictions: Mapping[str, Tensor],
                index: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Compute what does not depend on noise.

        Returns:
            X_init of the pairs by task, (N_t, map channels, h, w), and the tokens of their
            condition, (P, L, C), or None.
        """
        source = self.source(features, predictions)
        condition = None
        if self.condition is not None:
            condition = self._condition_tokens(predictions)[torch.cat(list(index.values()))]
        return {name: source[name][i] for name, i in index.items()}, condition

    def trajectory(self, source: Mapping[str, Tensor], condition: Tensor | None,
                   noise: Mapping[str, Tensor] | None) -> Iterator[dict[str, Tensor]]:
        """Iterate over X_S by task, then over X_0 by task as predicted in each step S to 1.

        X_S is (N_t, map_channels, h, w); X_0 has the channels that a step returns. ``source`` and
        ``condition`` are the results of :meth:`prepare`; ``noise`` is that of :meth:`forward`.
        """
        draws = {name: noise[name].unbind(1) if noise else () for name in source}

        def draw(name: str, number: int) -> Tensor | None:
            return draws[name][number] if number < len(draws[name]) else None

        x = {name: self.schedule.diffuse(maps, draw(name, 0)) for name, maps in source.items()}
        yield x
        steps = self.schedule.num_steps
        for s in range(steps, 0, -1):
            x_0 = self.denoiser(x, s, condition)
            yield x_0
            if s > 1:
                x = {name: self.schedule.step(x_0[name], x[name], s, draw(name, steps + 1 - s))
                     for name in x}

    def _condition_tokens(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Return the condition tokens, (B, L, C), shared by all tasks and steps."""
        size = next(iter(predictions.values())).shape[-2:]
        condition = cast(Condition, self.condition)
        if self.shortcut and not any(side % self.denoiser.REDUCTION for side in size):
            return condition.quarter(predictions).flatten(2).transpose(1, 2)
        return self.denoiser.tokens(condition(predictions))


@MODELS.register_module()
class PredictionDiffusion(MTDNet):
    """Prediction Diffusion: diffuse the maps P_init; a step returns prediction maps."""

    @property
    def map_channels(self) -> dict[str, int]:
        return self.task_channels

    def _denoised_channels(self) -> dict[str, int]:
        return self.task_channels

    def source(self, features: Mapping[str, Tensor],
               predictions: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return predictions

    def project(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(maps)

    def as_logits(self, maps: Mapping[str, Tensor],
                  predict: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        return dict(maps)


@MODELS.register_module()
class FeatureDiffusion(MTDNet):
    """Feature Diffusion: diffuse the features F_init; one head per task maps F_0 to P_0.

    With ``residual`` that head starts as f_pred^t, see :meth:`start_from`.
    """

    def __init__(self, tasks: Mapping[str, Task], schedule: dict | None = None,
                 condition: dict | None = None, channels: int = 512, num_blocks: int = 4,
                 num_heads: int = 4, ffn_ratio: int = 4, head_convs: int = 3,
                 shortcut: bool = True, with_cp: bool = False,
                 residual: bool = False) -> None:
        super().__init__(tasks, schedule, condition, channels, num_blocks, num_heads, ffn_ratio,
                         head_convs, shortcut, with_cp, residual)
        self.final = nn.ModuleDict({
            name: AlignedConv2d(channels, task.channels, 1) for name, task in tasks.items()})

    @property
    def map_channels(self) -> dict[str, int]:
        return dict.fromkeys(self.task_channels, self.channels)

    def _denoised_channels(self) -> None:
        return None

    def source(self, features: Mapping[str, Tensor],
               predictions: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return features

    def start_from(self, predict: Mapping[str, nn.Module]) -> None:
        if self.denoiser.residual:
            self.final.load_state_dict(nn.ModuleDict(predict).state_dict())

    def project(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.final[name](x) for name, x in maps.items()}

    def as_logits(self, maps: Mapping[str, Tensor],
                  predict: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        return {name: predict[name](x) for name, x in maps.items()}
