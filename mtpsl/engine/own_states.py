"""Finds what hooks, modules, tasks and optimisers of the user's keep that no checkpoint has."""

import hashlib
import pickle
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from mtpsl.datasets.transforms.probes.own_random import GENERATORS
from mtpsl.engine.ranks import bare_model
from mtpsl.tasks import Task

KNOWN = ('mtpsl', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'timm', 'torch', 'torchvision')
TIMES = 3  # that is looked
# Not flags, and not floats of hooks, most of which are times of the clock.
KEPT = (int, list, dict, set, deque, np.ndarray, Tensor, *GENERATORS)
# Methods by which a part writes its state into a checkpoint and reads it.
SAVING = ('before_save_checkpoint', 'after_load_checkpoint', 'state_dict', 'get_extra_state',
          '_save_to_state_dict')
# What PyTorch and mmengine keep in them.
OF_TORCH = {Optimizer: {'state', 'param_groups', '_global_step'}, nn.Module: set(vars(nn.Module()))}
ADVICE = {
    Hook: ('hooks', 'keep it in runner.message_hub by update_info, and take it from there in '
                    'before_train'),
    nn.Module: ('modules', 'keep it in a buffer, or give it by get_extra_state and take it by '
                           'set_extra_state'),
    Task: ('tasks', 'keep it in a buffer of the model'),
    Optimizer: ('optimisers', 'keep it in self.state or self.param_groups')}


class OwnStates:
    """Attributes of hooks, modules, tasks and optimisers as they are at the start of a training.

    Those of known packages are left out, and those that take part in saving or loading
    checkpoints. So are tensors of modules that are no buffers: most are what was computed last.

    Args:
        runner: whose hooks, model with its tasks, and optimisers are looked at.
    """

    def __init__(self, runner: Runner) -> None:
        self._parts = [part for part in _parts(runner)
                       if isinstance(part, tuple(ADVICE))
                       and type(part).__module__.partition('.')[0] not in KNOWN
                       and not any(_overrides(type(part), name) for name in SAVING)]
        self._begun_with = [dict(_attributes(part)) for part in self._parts]
        self._looked = 0

    def told(self, message_hub: MessageHub) -> str:
        """Describe, once, what has changed since then and is in no checkpoint; '' if nothing has.

        An attribute that is new counts from its first look on.

        Args:
            message_hub: of the runner; its values are in checkpoints.
        """
        saved = {digest for value in message_hub.runtime_info.values()
                 if (digest := _digest(value)) is not None}
        changed: dict[type, list[str]] = {}
        for part, before in zip(self._parts, self._begun_with):
            for name, digest in _attributes(part):
                if digest != before.setdefault(name, digest) and digest not in saved:
                    changed.setdefault(_kind(part), []).append(f'{type(part).__name__}.{name}')
        self._looked += 1
        if changed or self._looked == TIMES:
            self._parts = []
        return '; '.join(
            f'{", ".join(dict.fromkeys(names))} of your {ADVICE[kind][0]} changed during the '
            'training, and checkpoints have nothing of it: a resumed run begins it anew. If '
            f'figures depend on it, {ADVICE[kind][1]}' for kind, names in changed.items())


def _parts(runner: Runner) -> Iterator[object]:
    yield from runner.hooks
    model = bare_model(runner)
    yield from model.modules()
    yield from getattr(model, 'tasks', {}).values()
    for one in each_wrapper(runner):
        yield getattr(one, 'optimizer', None)


def each_wrapper(runner: Runner) -> Iterator[Any]:
    """The optim wrapper of a runner; of an ``OptimWrapperDict`` each."""
    wrapper = runner.optim_wrapper
    yield from wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _kind(part: object) -> type:
    return next(kind for kind in ADVICE if isinstance(part, kind))


def _overrides(cls: type, name: str) -> bool:
    """Whether a class of the user's has such a method of its own, rather than a known package's."""
    owner = next((base for base in cls.__mro__ if name in vars(base)), None)
    return owner is not None and owner.__module__.partition('.')[0] not in KNOWN


def _attributes(part: object) -> Iterator[tuple[str, bytes]]:
    known = next((names for kind, names in OF_TORCH.items() if isinstance(part, kind)), set())
    kept = KEPT if isinstance(part, Hook) else (*KEPT, float)
    values: dict[str, Any] = {
        name: value for name, value in vars(part).items()
        if name not in known and isinstance(value, kept) and not isinstance(value, bool)}
    if isinstance(part, nn.Module):
        values = {name: value for name, value in values.items() if not _holds_tensor(value)} | {
            name: part._buffers[name] for name in part._non_persistent_buffers_set}
    for name, value in values.items():
        if (digest := _digest(value)) is not None:
            yield name, digest


def _holds_tensor(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_tensor, value.values()))
    if isinstance(value, (list, tuple, set, deque)):
        return any(map(_holds_tensor, value))
    return isinstance(value, Tensor)


class _Pickler(pickle.Pickler):
    """Writes tensors by their values, where PyTorch writes addresses as well."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Generator):
            return bytes, (value.get_state().numpy().tobytes(),)
        if isinstance(value, Tensor):
            return bytes, (value.detach().cpu().contiguous().flatten().view(
                torch.uint8).numpy().tobytes(),)
        return NotImplemented


class _Hash:
    """A file of which only a checksum is kept: states may be as large as a model."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.write = self._hash.update
        self.digest = self._hash.digest


def _digest(value: object) -> bytes | None:
    file: Any = _Hash()
    try:
        _Pickler(file).dump(value)
    except Exception:  # such as a dict that holds a function
        return None
    return file.digest()
