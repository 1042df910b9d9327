"""Backbones of timm."""

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.registry import MODELS

LIBRARY = 'timm'  # as a checkpoint: the library's weights of that name
FINEST = 4  # stride; finer maps, which some networks return, cost more than they help


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """The stages of a timm network, by its ``features_only`` interface.

    The network has random weights at first. ``init_cfg=dict(type='Pretrained', checkpoint=...)``
    names the initial weights: ``'timm'``, which the library downloads, or a file in the library's
    format (the whole network, with or without its classifier). They are read when training starts,
    unless a checkpoint replaces them.

    Args:
        name: a name in ``timm.list_models()``, with or without the tag of the weights, such as
            ``'convnext_tiny.fb_in1k'``.
        out_indices: indices of the network's stages, or of the blocks of a plain transformer; None
            is timm's choice, without maps finer than stride 4.
        options: further arguments of the network, such as ``dict(drop_path_rate=0.1)``, or
            ``dict(img_size=512)`` for a network with a fixed image size.
        init_cfg: see above.

    Attributes:
        reads_files: True, since this class checks its weights: files use the library's names.
        normalisation: mean and std of R, G and B in 0..255 that the initial weights need; None
            without initial weights.

    Raises:
        ImportError: timm is missing, or its torchvision does not match the installed PyTorch.
        ValueError: timm has no such name, or the network rejects the arguments.
    """

    init_cfg: Any
    network: Any
    reads_files = True

    def __init__(self, name: str, out_indices: Sequence[int] | None = None,
                 options: Mapping[str, object] | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.name = name
        self.arguments = dict(options or {})
        if out_indices is not None:
            self.arguments['out_indices'] = tuple(out_indices)
        self.network = self._build()
        strides = self.network.feature_info.reduction()
        self._kept = [place for place, stride in enumerate(strides)
                      if out_indices is not None or stride >= FINEST]
        self._channels_last = getattr(self.network, 'output_fmt', None) == 'NHWC'

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        if self._checkpoint() != LIBRARY:
            return None
        return self._statistics()

    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        known = self.network.pretrained_cfg
        mean, std = (tuple(round(255 * value, 3) for value in known[key])
                     for key in ('mean', 'std'))
        return mean, std

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the stages (B, C_k, H_k, W_k) of (B, 3, H, W), finest first."""
        stages = self.network(image)
        maps = [stages[place] for place in self._kept]
        return [one.permute(0, 3, 1, 2) for one in maps] if self._channels_last else maps

    def init_weights(self) -> None:
        """Load the weights that ``init_cfg`` names.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the weights are not the network's.
        """
        checkpoint = self._checkpoint()
        if not checkpoint:
            return
        source, told = {}, ''
        if checkpoint != LIBRARY:
            if not Path(checkpoint).is_file():
                raise FileNotFoundError(f'TimmBackbone: there is no checkpoint file {checkpoint}')
            source = dict(pretrained_cfg_overlay=dict(file=checkpoint))
            told = '; those of the library need images of mean {} and std {}'.format(
                *self._statistics())
        with torch.random.fork_rng(devices=[]), _errors_only():
            taken, random = self._seeded(pretrained=True, **source), self._seeded()
        left = [name for name, value in taken.named_parameters()
                if value.ndim > 1 and torch.equal(value, random.get_parameter(name))]
        if left:
            raise ValueError(f'{checkpoint}: {len(left)} weights of {self.name} are missing, '
                             f'such as {left[0]}; it must be of this network')
        self.network.load_state_dict(taken.state_dict())
        print_log(f'{self.name}: weights of {checkpoint}{told}', 'current')

    def _checkpoint(self) -> str:
        """Return the checkpoint that ``init_cfg`` names; '' if there is none."""
        init = self.init_cfg
        if not init:
            return ''
        if not isinstance(init, Mapping) or init.get('type') != 'Pretrained' or set(init) != {
                'type', 'checkpoint'}:
            raise ValueError("TimmBackbone: init_cfg must be dict(type='Pretrained', "
                             f"checkpoint='{LIBRARY}' or a file) or None, got {init}")
        return str(init['checkpoint'])

    def _seeded(self, **weights: object) -> nn.Module:
        """Build the network with reproducible random weights, for those that are not replaced."""
        torch.manual_seed(0)
        return self._build(**weights)

    def _build(self, **weights: object) -> Any:
        timm = _library()
        arguments = dict(features_only=True, **self.arguments, **weights)
        try:
            try:  # transformers, which otherwise accept one image size only
                return timm.create_model(self.name, dynamic_img_size=True, **arguments)
            except TypeError as error:
                if 'dynamic_img_size' not in str(error):
                    raise
                return timm.create_model(self.name, **arguments)
        except (RuntimeError, TypeError, AssertionError, LookupError, ValueError) as error:
            text = ' '.join(f'{type(error).__name__}: {error}'.splitlines()[:2])
            if weights:
                raise ValueError(f'TimmBackbone: {self._checkpoint()} has no weights of '
                                 f'{self.name}, by timm: {text}') from error
            names = timm.list_models()
            near = difflib.get_close_matches(self.name, names, 3)
            if self.name.partition('.')[0] in names:
                near = []
            raise ValueError(
                f'TimmBackbone: timm builds no {self.name!r} with {self.arguments}: '
                + text + (f'; near: {", ".join(near)}' if near else '')) from error


@contextmanager
def _errors_only() -> Iterator[None]:
    """Hide timm's warnings, which list all weights of a file for another network."""
    logger = logging.getLogger(LIBRARY)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _library() -> Any:
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision of another PyTorch
        raise ImportError('TimmBackbone needs timm, and a torchvision that matches the installed '
                          f'PyTorch {torch.__version__} (docs/backbones.md): {error}') from error
    return timm
