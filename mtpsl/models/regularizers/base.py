"""Base class and common parts of the auxiliary objectives.

Shapes: B samples of H x W, h x w the logits' resolution; for task t, C_t channels of the logits,
c_t of the label, K_t of the input of an auxiliary network (``Task.aux_channels``).
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task

# Normalisation statistics in training: over the whole batch of maps, or per map (not changed by
# SyncBatchNorm).
STATISTICS: dict[str, Callable[[int], nn.Module]] = dict(
    batch=nn.BatchNorm2d,
    map=lambda channels: nn.InstanceNorm2d(channels, affine=True, track_running_stats=True))
VGG_CONVS = (2, 2, 3, 3, 3)  # 3x3 convolutions per stage, each stage followed by 2x2 pooling


class View(NamedTuple):
    """One augmented view of all samples of a batch.

    Attributes:
        samples: the B samples, with this view's labels.
        logits: task name -> (B, C_t, h, w).
        feature: the backbone's last stage, (B, C, H / 32, W / 32).
        size: H and W.
    """

    samples: Sequence[MultiTaskSample]
    logits: Mapping[str, Tensor]
    feature: Tensor
    size: tuple[int, int]

    def labels(self, task: str, rows: Sequence[int]) -> Tensor:
        """Return the labels of some rows, (N, c_t, H, W)."""
        return torch.stack([getattr(self.samples[row].gt, task) for row in rows])


class Regularizer(BaseModule):
    """An auxiliary objective: losses on views of a batch, in addition to task losses on view 0.

    Its parameters are used in training only.

    Args:
        tasks: task name -> task.

    Attributes:
        num_views: number of views that it needs.
        of_unlabelled: whether its losses are 0 where all tasks are labelled.
    """

    num_views: int
    of_unlabelled: bool = False

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        super().__init__()
        self.tasks = dict(tasks)

    @abstractmethod
    def forward(self, views: Sequence[View],
                rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Return losses by name.

        Args:
            views: views of the batch, view 0 first.
            rows: task name -> labelled rows of the batch.
        """


def check_network(kind: str, channels: Sequence[int], map_stride: int, statistics: str) -> None:
    """Raise ValueError if an argument of an auxiliary network is out of range."""
    if len(channels) != len(VGG_CONVS) or min(channels) < 1:
        raise ValueError(f'{kind}: channels must be {len(VGG_CONVS)} numbers of at least 1, got '
                         f'{channels}')
    if map_stride < 1:
        raise ValueError(f'{kind}: map_stride must be at least 1, got {map_stride}')
    if statistics not in STATISTICS:
        raise ValueError(f'{kind}: statistics must be one of {", ".join(STATISTICS)}, got '
                         f'{statistics!r}')


def conv_norm(in_channels: int, out_channels: int, statistics: str) -> nn.Sequential:
    """Return a 3x3 convolution (Xavier-normal, zero bias) and a normalisation of STATISTICS."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.xavier_normal_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # not None
    return nn.Sequential(conv, STATISTICS[statistics](out_channels))


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 - mean cosine over positions of (N, C, h, w) maps, (N,)."""
    return 1 - F.cosine_similarity(a.float(), b.float(), dim=1, eps=1e-12).flatten(1).mean(1)


def coarse_size(size: Sequence[int], stride: int) -> tuple[int, int]:
    """Return H and W of the maps at 1 / stride of the input's resolution.

    Raises:
        ValueError: the maps are too small for the network's poolings.
    """
    height, width = size[0] // stride, size[1] // stride
    least = 2 ** len(VGG_CONVS)
    if min(height, width) < least:
        raise ValueError(f'map_stride {stride} makes maps of {height} x {width} of images of '
                         f'{size[0]} x {size[1]}; the auxiliary network needs {least} x {least} at '
                         'least')
    return height, width
