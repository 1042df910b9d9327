"""What a backbone gives and takes, asked of it, so that no config types it."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtpsl.registry import MODELS, class_of

from .neck import check_channels


class Stages(NamedTuple):
    """What a backbone returns.

    Attributes:
        in_channels: channels of its stages.
        in_stride: pixels of the image a pixel of the first stage.
    """

    in_channels: tuple[int, ...]
    in_stride: int


def stages_of(backbone: nn.Module, size: Sequence[int]) -> Stages:
    """Ask a backbone by a forward pass on tensors without values.

    Nothing is computed, no random number is drawn, and neither weights nor statistics change.

    Args:
        backbone: takes (B, 3, H, W) and returns its stages (B, C_k, H_k, W_k), finest first.
        size: (H, W) of an image.

    Raises:
        ValueError: the backbone takes no such image, or returns something else.
    """
    try:
        stages = without_values(backbone, size)
    except Exception as error:  # whatever its code does
        raise ValueError(
            f'{type(backbone).__name__} cannot be asked for its stages: on an image of {size[0]} '
            f'x {size[1]} (size and size_divisor of data_preprocessor) it says '
            f'{type(error).__name__}: {error}. If only the question is at fault, neck=dict('
            'in_channels=..., in_stride=...) answers it') from error
    maps = isinstance(stages, Sequence) and stages and all(
        isinstance(stage, Tensor) and stage.ndim == 4 for stage in stages)
    if not maps:
        shapes = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
                  for one in (stages if isinstance(stages, Sequence) else [stages])]
        raise ValueError(f'{type(backbone).__name__} must return a sequence of maps (B, C, H, W), '
                         f'the finest first, got {shapes}')
    return Stages(tuple(stage.shape[1] for stage in stages),
                  max(round(size[0] / stages[0].shape[-2]), 1))


def without_values(module: nn.Module, size: Sequence[int]) -> Any:
    """Return what a module makes of an image of ``size`` = (H, W), as tensors without values.

    Nothing is computed, no random number is drawn, and neither weights nor statistics change.
    """
    named = [*module.named_parameters(), *module.named_buffers()]
    empty = {name: value.detach().to('meta') for name, value in named}
    modes = {part: part.training for part in module.modules()}
    try:
        for part in modes:
            part.training = False  # train() of some also freezes
        with torch.no_grad():
            return functional_call(module, empty, torch.empty(1, 3, *size, device='meta'))
    finally:
        for part, training in modes.items():
            part.training = training


class Encoder(nn.Module):
    """Backbone and neck, called as they are written, whatever of them is compiled."""

    def __init__(self, backbone: nn.Module, neck: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, neck

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to F_backbone, (B, C, h, w)."""
        return self.neck.forward(self.backbone.forward(images))


def build_neck(neck: Mapping[str, Any], backbone: nn.Module, size: Sequence[int]) -> nn.Module:
    """Build a neck that takes the stages of a backbone.

    Args:
        neck: its config. What the class takes of the fields of :class:`Stages` and the config does
            not say is the backbone's.
        backbone: see :func:`stages_of`.
        size: (H, W) of an image.

    Raises:
        ValueError: see :func:`stages_of`; or ``in_channels`` that are not the backbone's.
    """
    kind = neck['type']
    cls = class_of(kind, MODELS)
    parameters = inspect.signature(cls).parameters if cls else {}
    asked = [name for name in Stages._fields if name in parameters]
    if all(name in neck for name in asked) or {'in_channels', 'scale'} <= set(neck):
        return MODELS.build(neck)
    stages = stages_of(backbone, size)
    if 'in_channels' in neck:
        check_channels(cls.__name__, stages.in_channels, neck['in_channels'])
    return MODELS.build({name: getattr(stages, name) for name in asked} | dict(neck))


def check_normalisation(backbone: nn.Module, mean: Tensor, std: Tensor) -> None:
    """Raise ValueError where a backbone's weights were trained on images of other statistics.

    Args:
        backbone: one with ``normalisation``, a pair (mean, std) of R, G and B in 0..255, says which
            its weights need; None or no such attribute: any will do.
        mean: of the data preprocessor, three numbers.
        std: likewise.
    """
    needed = getattr(backbone, 'normalisation', None)
    if needed is None:
        return
    given = [tuple(round(value, 3) for value in part.flatten().tolist()) for part in (mean, std)]
    if any(abs(a - b) > 0.5 for one, two in zip(given, needed) for a, b in zip(one, two)):
        raise ValueError(
            f'the weights of {type(backbone).__name__} were trained on images of another mean and '
            f'std than those of data_preprocessor, {given[0]} and {given[1]}; write '
            f'data_preprocessor=dict(mean={needed[0]}, std={needed[1]})')
