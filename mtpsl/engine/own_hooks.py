"""Finds what hooks of the user's keep that no checkpoint has."""

import io
import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub

from mtpsl.datasets.transforms.own_random import GENERATORS

KNOWN = ('mtpsl', 'mmengine', 'mmcv', 'mmseg')
TIMES = 3  # that is looked
# Not floats, most of which are times of the clock, nor flags.
KEPT = (int, list, dict, set, deque, np.ndarray, torch.Tensor, *GENERATORS)
# Methods by which a hook writes its state into a checkpoint and reads it.
SAVING = ('before_save_checkpoint', 'after_load_checkpoint')


class HookStates:
    """Attributes of hooks as they are at the start of a training.

    A hook that takes part in saving or loading checkpoints is left out.

    Args:
        hooks: those of the runner.
    """

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self._hooks = [hook for hook in hooks
                       if type(hook).__module__.partition('.')[0] not in KNOWN
                       and not any(getattr(type(hook), name) is not getattr(Hook, name)
                                   for name in SAVING)]
        self._begun_with = [dict(_attributes(hook)) for hook in self._hooks]
        self._looked = 0

    def told(self, message_hub: MessageHub) -> str:
        """Describe, once, what has changed since then and is in no checkpoint; '' if nothing has.

        An attribute that is new counts from its first look on.

        Args:
            message_hub: of the runner; its values are in checkpoints.
        """
        saved = {content for value in message_hub.runtime_info.values()
                 if (content := _content(value)) is not None}
        changed = [f'{type(hook).__name__}.{name}'
                   for hook, before in zip(self._hooks, self._begun_with)
                   for name, content in _attributes(hook)
                   if content != before.setdefault(name, content) and content not in saved]
        self._looked += 1
        if changed or self._looked == TIMES:
            self._hooks = []
        return '' if not changed else (
            f'{", ".join(changed)} of your hooks changed during the training, and checkpoints '
            'have nothing of it: a resumed run begins it anew. If figures depend on it, keep it in '
            'runner.message_hub by update_info, and take it from there in before_train')


def _attributes(hook: Hook) -> Iterator[tuple[str, bytes]]:
    for name, value in vars(hook).items():
        if isinstance(value, KEPT) and not isinstance(value, bool) and (
                content := _content(value)) is not None:
            yield name, content


class _Pickler(pickle.Pickler):
    """Writes tensors by their values, where PyTorch writes addresses as well."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Generator):
            return bytes, (value.get_state().numpy().tobytes(),)
        if isinstance(value, torch.Tensor):
            return bytes, (value.detach().cpu().contiguous().flatten().view(
                torch.uint8).numpy().tobytes(),)
        return NotImplemented


def _content(value: Any) -> bytes | None:
    file = io.BytesIO()
    try:
        _Pickler(file).dump(value)
    except Exception:  # such as a dict that holds a function
        return None
    return file.getvalue()
