"""timm's backbones."""

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

LIBRARY = 'timm'  # as a checkpoint: the weights that the library has under the name
FINEST = 4  # stride; maps at 2, which some networks give, cost more than they say


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """The stages of one of timm's networks, by its ``features_only`` interface.

    The network starts from random weights. ``init_cfg=dict(type='Pretrained', checkpoint=...)``
    names those to start from: ``'timm'``, which the library downloads, or a file as the library
    has it (the whole network, with or without its classifier). They are read when a training
    begins, not where a checkpoint takes their place.

    Args:
        name: as ``timm.list_models()`` has it, with or without the tag of the weights, such as
            ``'convnext_tiny.fb_in1k'``.
        out_indices: which of the network's stages, or of a plain transformer's blocks; None is
            timm's choice, of which maps finer than stride 4 are left out.
        options: other arguments of the network, such as ``dict(drop_path_rate=0.1)``, or
            ``dict(img_size=512)`` for one that takes images of one size only.
        init_cfg: see above.

    Attributes:
        reads_files: its weights are checked here, since files have the library's names.
        normalisation: mean and std, of R, G and B in 0..255, that its own weights need; None
            where there are none to read.

    Raises:
        ImportError: timm is missing, or its torchvision does not fit the PyTorch that is installed.
        ValueError: a name that timm does not know, or arguments that the network does not take.
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
        """(B, 3, H, W) to the stages (B, C_k, H_k, W_k), the finest first."""
        stages = self.network(image)
        maps = [stages[place] for place in self._kept]
        return [one.permute(0, 3, 1, 2) for one in maps] if self._channels_last else maps

    def init_weights(self) -> None:
        """Take the weights that ``init_cfg`` names.

        Raises:
            FileNotFoundError: no such file.
            ValueError: weights that are not the network's.
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
            raise ValueError(f'{checkpoint}: {len(left)} weights of {self.name} are not in it, '
                             f'such as {left[0]}; it must be of this network')
        self.network.load_state_dict(taken.state_dict())
        print_log(f'{self.name}: weights of {checkpoint}{told}', 'current')

    def _checkpoint(self) -> str:
        """What ``init_cfg`` names; '' where it names none."""
        init = self.init_cfg
        if not init:
            return ''
        if not isinstance(init, Mapping) or init.get('type') != 'Pretrained' or set(init) != {
                'type', 'checkpoint'}:
            raise ValueError("TimmBackbone: init_cfg must be dict(type='Pretrained', "
                             f"checkpoint='{LIBRARY}' or a file) or None, got {init}")
        return str(init['checkpoint'])

    def _seeded(self, **weights: object) -> nn.Module:
        """The network with the same random weights each time, where others do not replace them."""
        torch.manual_seed(0)
        return self._build(**weights)

    def _build(self, **weights: object) -> Any:
        timm = _library()
        arguments = dict(features_only=True, **self.arguments, **weights)
        try:
            try:  # transformers, which otherwise take images of one size
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
    """Without the warnings of timm, which list all weights of a file that is of another network."""
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
        raise ImportError('TimmBackbone needs timm, and a torchvision of the installed PyTorch '
                          f'{torch.__version__} (docs/backbones.md): {error}') from error
    return timm
