"""f_cond: the multi-task condition feature from the initial predictions of all tasks."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.models.aligned_conv import AlignedConv2d, aligned_conv2d
from mtpsl.registry import MODELS
from mtpsl.tasks import Task


class Condition(BaseModule):
    """Base class: the convolution ``reduce`` computes F_cond from the maps of all tasks.

    A subclass sets ``reduce`` (3x3, padding 1) and ``detach``, and defines the two methods below.
    """

    reduce: nn.Conv2d
    detach: bool  # whether to stop gradients to the decoders

    @abstractmethod
    def sources(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Combine P_init by task, (B, C_t, h, w), to the input of ``reduce``."""

    @abstractmethod
    def channel_owners(self, order: Sequence[str]) -> dict[str, tuple[int, list]]:
        """Return the owners of the channels of ``reduce``, see :mod:`mtpsl.models.task_order`.

        Weight name -> axis, and the owner of each position along it for tasks in ``order``. Empty
        if the tasks share all channels, as in a sum.
        """

    def forward(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Compute F_cond (B, C, h, w) from P_init by task, (B, C_t, h, w)."""
        return self.reduce(self.sources(predictions))

    def quarter(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Compute F_cond at a quarter of the resolution, (B, C, h / 4, w / 4), directly.

        Bilinear resizing by 1/4 is the mean of the middle 2x2 pixels of each 4x4 block. The mean
        commutes with the linear convolution, which then is evaluated at these pixels only: a
        sixteenth of the multiply-adds. h and w must be multiples of 4.
        """
        means = _pair_sums(_pair_sums(self.sources(predictions), 2), 3) / 4
        return aligned_conv2d(means, self.reduce.weight, self.reduce.bias, stride=3)


@MODELS.register_module()
class ProjectedCondition(Condition):
    """One 3x3 convolution per task, concatenation, a 3x3 convolution (paper, Sec. 3.2.2, Fig. 4).

    The condition of Prediction Diffusion.

    Args:
        tasks: task name -> task.
        channels: C of each projection and of the result.
        detach: stop gradients to the decoders, as in the published code. The paper states that the
            unlabelled tasks learn through the condition, which needs False.
    """

    def __init__(self, tasks: Mapping[str, Task], channels: int = 512,
                 detach: bool = True) -> None:
        super().__init__()
        self.detach = detach
        self.project = nn.ModuleDict({
            name: AlignedConv2d(task.channels, channels, 3, padding=1)
            for name, task in tasks.items()})
        self.reduce = nn.Conv2d(len(tasks) * channels, channels, 3, padding=1)

    def sources(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Project each prediction and concatenate to (B, T C, h, w)."""
        return torch.cat([project(_source(predictions[name], self.detach))
                          for name, project in self.project.items()], 1)

    def channel_owners(self, order: Sequence[str]) -> dict[str, tuple[int, list]]:
        return {'reduce.weight': (1, [(name, number) for name in order for number
                                      in range(self.reduce.out_channels)])}


@MODELS.register_module()
class ConcatenatedCondition(Condition):
    """Concatenate all predictions and apply a 3x3 convolution, as in the published code.

    The condition of Feature Diffusion. The paper's text describes the initial features as its
    input instead; that would have 156M parameters, which does not match its Table 2.

    Args:
        tasks: task name -> task.
        channels: C of the result.
        detach: stop gradients to the decoders, see :class:`ProjectedCondition`.
    """

    def __init__(self, tasks: Mapping[str, Task], channels: int = 512,
                 detach: bool = True) -> None:
        super().__init__()
        self.source_channels = {name: task.channels for name, task in tasks.items()}
        self.detach = detach
        self.reduce = AlignedConv2d(sum(self.source_channels.values()), channels, 3, padding=1)
        nn.init.kaiming_normal_(self.reduce.weight, mode='fan_out', nonlinearity='relu')
        nn.init.zeros_(self.reduce.bias)  # type: ignore[arg-type]  # not None

    def sources(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Concatenate the predictions to (B, sum of C_t, h, w)."""
        return torch.cat([_source(predictions[name], self.detach)
                          for name in self.source_channels], 1)

    def channel_owners(self, order: Sequence[str]) -> dict[str, tuple[int, list]]:
        return {'reduce.weight': (1, [(name, number) for name in order
                                      for number in range(self.source_channels[name])])}


def _pair_sums(maps: Tensor, dim: int) -> Tensor:
    """Return x0 + x1, x1 + x2 and x2 + x3 of each four neighbours x along ``dim``."""
    blocks = maps.unflatten(dim, (-1, 4))
    return (blocks.narrow(dim + 1, 0, 3) + blocks.narrow(dim + 1, 1, 3)).flatten(dim, dim + 1)


def _source(prediction: Tensor, detach: bool) -> Tensor:
    return prediction.detach() if detach else prediction
