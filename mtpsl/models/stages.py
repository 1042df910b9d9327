"""Determine the input and output of a backbone, so that configs need not state them."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mtpsl.registry import MODELS, class_of

from .neck import check_channels


class Stages(NamedTuple):
    """The output of a backbone.

    Attributes:
        in_channels: channels of its stages.
        in_stride: stride of the first stage, in image pixels.
    """

    in_channels: tuple[int, ...]
    in_stride: int


def stages_of(backbone: nn.Module, size: Sequence[int]) -> Stages:
    """Run a backbone on meta tensors to find the shapes of its stages.

    Nothing is computed, no random number is drawn, and no weights or statistics change.

    Args:
        backbone: maps (B, 3, H, W) to its stages (B, C_k, H_k, W_k), finest first.
        size: (H, W) of an image.

    Raises:
        ValueError: the backbone rejects such an image, or returns something else, such as stages
            that are not finest first.
    """
    try:
        stages = without_values(backbone, size)
    except Exception as error:  # any error of the backbone's code
        raise ValueError(
            f'cannot determine the stages of {type(backbone).__name__}: for an image of {size[0]} '
            f'x {size[1]} (size and size_divisor of data_preprocessor) it raises '
            f'{type(error).__name__}: {error}. If it fails on meta tensors only, set neck=dict('
            'in_channels=..., in_stride=...)') from error
    maps = isinstance(stages, Sequence) and stages and all(
        isinstance(stage, Tensor) and stage.ndim == 4 for stage in stages)
    if not maps:
        shapes = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
                  for one in (stages if isinstance(stages, Sequence) else [stages])]
        raise ValueError(f'{type(backbone).__name__} must return a sequence of maps (B, C, H, W), '
                         f'finest first, got {shapes}')
    check_order(type(backbone).__name__, stages)
    return Stages(tuple(stage.shape[1] for stage in stages),
                  max(round(size[0] / stages[0].shape[-2]), 1))


def check_order(backbone: str, stages: Sequence[Tensor]) -> None:
    """Raise ValueError if a stage (B, C_k, H_k, W_k) of a backbone is finer than the last."""
    sizes = [(stage.shape[-2], stage.shape[-1]) for stage in stages]
    if any(later > side for one, other in zip(sizes, sizes[1:])
           for side, later in zip(one, other)):
        shown = ', '.join(f'{height} x {width}' for height, width in sizes)
        raise ValueError(f'{backbone} must return its stages finest first, got {shown}')


def without_values(module: nn.Module, size: Sequence[int]) -> Any:
    """Run a copy of a module, without values and batch normalisation, on an image of ``size``.

    No random number is drawn, and the module stays as it is: other threads may run it.
    """
    # Of the weights only shapes are copied: what stands in the memo is not.
    empty: dict[int, Tensor] = {
        id(value): nn.Parameter(value.detach().to('meta'), requires_grad=False)
        for value in module.parameters()}
    empty |= {id(value): value.detach().to('meta') for value in module.buffers()}
    module = copy.deepcopy(module, empty)
    for part in module.modules():
        part.training = False  # train() of some backbones also freezes layers
    leave_out_batch_norm(module)
    with torch.no_grad():
        return module(torch.empty(1, 3, *size, device='meta'))


def leave_out_batch_norm(module: nn.Module) -> None:
    """Let PyTorch's batch normalisation do nothing: it changes no shape, slowly on meta tensors."""
    for part in module.modules():
        if isinstance(part, _BatchNorm) and type(part).__module__.startswith('torch.'):
            part.forward = partial(_as_it_is, part)  # type: ignore[method-assign]


def _as_it_is(part: _BatchNorm, image: Tensor) -> Tensor:
    if image.shape[1] != part.num_features:
        raise ValueError(f'{part} got {image.shape[1]} channels')
    return image


class Encoder(nn.Module):
    """Backbone and neck without ``torch.compile``, even where the modules are compiled."""

    def __init__(self, backbone: nn.Module, neck: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, neck

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to F_backbone (B, C, h, w)."""
        return self.neck.forward(self.backbone.forward(images))


def build_neck(neck: Mapping[str, Any], backbone: nn.Module, size: Sequence[int]) -> nn.Module:
    """Build a neck that takes the stages of a backbone.

    Args:
        neck: its config. Fields of :class:`Stages` that the class takes and the config does not
            set come from the backbone.
        backbone: see :func:`stages_of`.
        size: (H, W) of an image.

    Raises:
        ValueError: see :func:`stages_of`; or ``in_channels`` differ from the backbone's.
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
    """Raise ValueError if a backbone's weights were trained with another image normalisation.

    Args:
        backbone: its optional attribute ``normalisation`` is the pair (mean, std) of R, G and B in
            0..255 that its weights need; None or no such attribute: any.
        mean: mean of the data preprocessor, three numbers.
        std: standard deviation of the data preprocessor, three numbers.
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
