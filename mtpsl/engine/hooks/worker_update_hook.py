"""Lets changes of the training dataset reach its worker processes, and ends them with the run."""

import pickle
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.datasets.walks import leaves_of
from mtpsl.registry import HOOKS

PLAIN = (bool, int, float, str, type(None))
LONG, LARGE = 100, 64 << 20  # entries of a list, bytes of an array
INTERVAL = 50


@HOOKS.register_module()
class WorkerUpdateHook(Hook):
    """Starts the data loader's workers anew where a hook has changed the training dataset.

    With ``persistent_workers=True`` the workers keep the dataset, with its transforms, as it was
    in the first epoch: a hook that switches an augmentation off, as MMDetection's
    ``PipelineSwitchHook``, would act on nothing. Changes before an epoch act in it, later ones in
    the next pass through the data, and each is logged. Changed transforms are tried anew.
    """

    priority = 'VERY_LOW'  # after hooks that change the dataset

    def before_train(self, runner: Runner) -> None:
        """Note the settings with which the first workers start."""
        loader = runner.train_dataloader
        # Workers that are not persistent start anew with each pass.
        self._persistent = getattr(loader, 'num_workers', 0) > 0 and loader.persistent_workers
        self._settings = settings_of(loader.dataset)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start workers anew after a change.

        Raises:
            ValueError: changed transforms move images without their labels.
        """
        self._update(runner, 'in this epoch')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """The same for the next pass."""
        if self._persistent and self.every_n_train_iters(runner, INTERVAL):
            self._update(runner, 'in the next pass through the data')

    def after_run(self, runner: Runner) -> None:
        """End all workers."""
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            for name in ('dataloader_iterator', 'dataloader'):
                holder: Any = getattr(loop, name, None)
                if getattr(holder, '_iterator', None) is not None:
                    holder._iterator = None

    def _update(self, runner: Runner, when: str) -> None:
        now = settings_of(runner.train_dataloader.dataset)
        if now == self._settings:
            return
        self._settings = now
        for leaf in leaves_of(runner.train_dataloader.dataset):
            leaf.check_transforms()
        if not self._persistent:
            return
        runner.train_dataloader._iterator = None  # as mmdet does: the next pass makes another
        runner.logger.info(f'the training dataset was changed: new worker processes have it {when}')


def settings_of(part: object) -> Any:
    """Return the attributes of an object, and of all that it consists of, to compare them.

    Of long lists and of arrays it is a checksum; of arrays over 64 MB, which are data, the shape.
    """
    return _settings(part, set())


def _settings(part: object, seen: set[int]) -> Any:
    if isinstance(part, PLAIN):
        return part
    if id(part) in seen:
        return None
    seen.add(id(part))
    if isinstance(part, Mapping):
        return {str(key): _settings(value, seen) for key, value in part.items()} if (
            len(part) <= LONG) else _checksum(part)
    if isinstance(part, (Sequence, set, frozenset)):
        return [_settings(value, seen) for value in part] if len(part) <= LONG else _checksum(part)
    if isinstance(part, (np.ndarray, torch.Tensor)):
        return tuple(part.shape), _checksum(np.asarray(part)) if part.nbytes <= LARGE else None
    attributes = getattr(part, '__dict__', None)
    known = isinstance(attributes, dict) and not isinstance(part, type)
    return (type(part).__name__, _settings(attributes, seen)) if known else type(part).__name__


def _checksum(part: object) -> int | None:
    try:
        return zlib.crc32(pickle.dumps(part, pickle.HIGHEST_PROTOCOL))
    except Exception:  # it cannot be pickled
        return None
