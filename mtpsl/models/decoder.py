"""Decoders of the initial backbone model: one per task, of equal structure."""

from collections.abc import Container, Mapping

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.registry import MODELS
from mtpsl.tasks import Task

from .aligned_conv import AlignedConv2d
from .checkpoint_module import checkpoint_module


class ResidualBlock(BaseModule):
    """y = ReLU(x + BN(conv(ReLU(BN(conv(x)))))), 3x3 convolutions without bias.

    Args:
        channels: number of input and output channels.
        norm_cfg: normalisation config of mmcv.
    """

    def __init__(self, channels: int, norm_cfg: dict) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, channels)[1]
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)).add_(x))


@MODELS.register_module()
class TaskDecoders(BaseModule):
    """Decode task features by f_dec^t and initial predictions by f_pred^t (paper, Eqs. 1 and 2).

    Args:
        tasks: task name -> task, which defines its output channels.
        channels: C, channels of the backbone feature and of the task features.
        num_blocks: residual blocks per decoder: 2 in DiffusionMTL, 6 in the baselines.
        norm_cfg: normalisation config of mmcv for the blocks.
        with_cp: store only F_backbone for the backward pass: less memory, more computation.
    """

    def __init__(self, tasks: Mapping[str, Task], channels: int = 512, num_blocks: int = 2,
                 norm_cfg: dict | None = None, with_cp: bool = False) -> None:
        super().__init__()
        norm_cfg = norm_cfg or dict(type='BN')
        self.with_cp = with_cp
        self.channels = channels
        self.decode = nn.ModuleDict({
            name: nn.Sequential(*[ResidualBlock(channels, norm_cfg) for _ in range(num_blocks)])
            for name in tasks})
        self.predict = nn.ModuleDict({
            name: AlignedConv2d(channels, task.channels, 1) for name, task in tasks.items()})

    def forward(self, feature: Tensor, learning: Container[str] | None = None,
                tasks: Container[str] | None = None,
                ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Decode F_backbone (B, C, h, w) to F_init (B, C, h, w) and P_init (B, C_t, h, w) by task.

        Args:
            feature: F_backbone.
            learning: tasks that need gradients; the graphs of others are dropped. None is all.
            tasks: tasks to decode; None is all.

        Raises:
            ValueError: the feature does not have ``channels`` channels, or is a list of backbone
                stages.
        """
        if not isinstance(feature, Tensor):
            raise ValueError(f'{type(self).__name__} needs one map, which model.neck makes of the '
                             f'{len(feature)} stages of the backbone, but model.neck is None')
        if feature.shape[1] != self.channels:
            raise ValueError(f'{type(self).__name__}: the map of the neck has {feature.shape[1]} '
                             f'channels, channels is {self.channels}')
        features, predictions = {}, {}
        for name, decode in self.decode.items():
            if tasks is not None and name not in tasks:
                continue
            learns = torch.is_grad_enabled() and (learning is None or name in learning)
            with torch.set_grad_enabled(learns):
                features[name] = (checkpoint_module(decode, feature) if self.with_cp
                                  else decode(feature))
                predictions[name] = self.predict[name](features[name])
        return features, predictions
