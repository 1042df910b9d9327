"""MTDNet: the multi-task denoising diffusion network, on predictions or on features.

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

from mtpsl.registry import MODELS
from mtpsl.tasks import Task

from .condition import Condition
from .denoiser import Denoiser


class MTDNet(BaseModule):
    """Diffuse the initial maps of the chosen pairs, then denoise them step by step (Sec. 3.2).

    Args:
        tasks: task name -> task.
        schedule: config of the noise schedule and sampler.
        condition: config of f_cond; None is the paper's "w/o Multi-Task Cond".
        channels: C of the initial features and inside the denoiser.
        num_blocks: transformer blocks, shared by the tasks.
        num_heads: heads of their attention.
        ffn_ratio: hidden channels of their feed-forward parts over C.
        head_convs: 3x3 convolutions of a task's output. The paper says "four 3x3"; one 1x1 and
            three 3x3 is what fits its Table 2.
        shortcut: make of f_cond only what its tokens hold, see ``Condition.quarter``: the same
            values with a ninth of the multiply-adds. False is as the paper counts.
        with_cp: gradient checkpointing of the denoiser: less memory, more work.
        residual: a step predicts the correction of X_s, see :class:`Denoiser`; the final
            predictions then start as the initial ones. False is as published.
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
        """Channels of the diffused map of each task."""

    @abstractmethod
    def _denoised_channels(self) -> dict[str, int] | None:
        """Channels that a published denoising step returns, None for C."""

    @abstractmethod
    def source(self, features: Mapping[str, Tensor],
               predictions: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """X_init by task: which of the initial maps are diffused."""

    def start_from(self, predict: Mapping[str, nn.Module]) -> None:
        """Begin where the initial predictions are; ``predict`` holds the f_pred^t by task."""

    @abstractmethod
    def project(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """P_0 from the last step's X_0, (N_t, C_t, h, w)."""

    @abstractmethod
    def as_logits(self, maps: Mapping[str, Tensor],
                  predict: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """X_S as logits to look at; ``predict`` holds the convolutions f_pred^t by task."""

    def forward(self, features: Mapping[str, Tensor], predictions: Mapping[str, Tensor],
                index: Mapping[str, Tensor],
                noise: Mapping[str, Tensor] | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Diffuse and denoise the pairs that ``index`` names, all of them together.

        Args:
            features: F_init by task, (B, C, h, w).
            predictions: P_init by task, (B, C_t, h, w).
            index: the samples to denoise by task, (N_t,) positions in the batch each.
            noise: standard normal draws by task, (N_t, D, map channels, h, w) with D =
                ``schedule.num_noise_maps``; None where the schedule takes none.

        Returns:
            Final logits P_0 by task, (N_t, C_t, h, w), and the noisy maps X_S by task.
        """
        maps = self.trajectory(*self.prepare(features, predictions, index), noise)
        noisy = next(maps)
        x_0, = deque(maps, maxlen=1)  # no earlier one is kept
        return self.project(x_0), noisy

    def prepare(self, features: Mapping[str, Tensor], predictions: Mapping[str, Tensor],
                index: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
        """What all draws of noise share.

        Returns:
            X_init of the pairs by task, (N_t, map channels, h, w), and the tokens of their
            condition, (P, L, C); None without one.
        """
        source = self.source(features, predictions)
        condition = None
        if self.condition is not None:
            condition = self._condition_tokens(predictions)[torch.cat(list(index.values()))]
        return {name: source[name][i] for name, i in index.items()}, condition

    def trajectory(self, source: Mapping[str, Tensor], condition: Tensor | None,
                   noise: Mapping[str, Tensor] | None) -> Iterator[dict[str, Tensor]]:
        """X_S by task, then X_0 by task as each of the steps S to 1 predicts it.

        Maps are (N_t, channels, h, w): ``map_channels`` of X_S, those that a step returns of X_0.
        ``source`` and ``condition`` are what :meth:`prepare` returns, ``noise`` is as for
        :meth:`forward`.
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
        """(B, L, C), shared by all tasks and steps."""
        size = next(iter(predictions.values())).shape[-2:]
        condition = cast(Condition, self.condition)
        if self.shortcut and not any(side % self.denoiser.REDUCTION for side in size):
            return condition.quarter(predictions).flatten(2).transpose(1, 2)
        return self.denoiser.tokens(condition(predictions))


@MODELS.register_module()
class PredictionDiffusion(MTDNet):
    """Prediction Diffusion: the maps P_init are diffused, a step returns prediction maps."""

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
    """Feature Diffusion: the maps F_init are diffused; a head per task makes P_0 of F_0.

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
            name: nn.Conv2d(channels, task.channels, 1) for name, task in tasks.items()})

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
