"""A transform with a bug: some of its images hold NaN. Importing this registers it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from in_process import load_tool, running_here
from mmcv.transforms import BaseTransform
from mmengine.dist import get_rank
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.nn.parallel import DistributedDataParallel

from mtpsl.engine import FiniteOptimWrapper, NonFiniteError, NonFiniteHook
from mtpsl.registry import TRANSFORMS


@TRANSFORMS.register_module(force=True)
class Poison(BaseTransform):
    """Puts a NaN into some images.

    Args:
        images: ids of the images, None for all.
        first: images that stay as they are before that, in the order they are read.
    """

    def __init__(self, images: Sequence[str] | None = None, first: int = 0) -> None:
        self.images = images
        self.first = first
        self.seen = 0

    def transform(self, results: dict) -> dict:
        self.seen += 1
        if self.seen > self.first and (self.images is None or results['img_id'] in self.images):
            image = results['img'].astype(np.float32)
            image[0, 0, 0] = np.nan
            results['img'] = image
        return results


def train(config: str, work_dir: str, *arguments: str) -> None:
    """``tools/train.py`` in this process."""
    with running_here():
        load_tool('train.py').main([config, '--work-dir', work_dir, *arguments])


def train_without(iterations: Sequence[int], config: str, work_dir: str, *arguments: str) -> None:
    """The same, but some iterations (1, 2, ...) never reach the model."""
    run_iter = EpochBasedTrainLoop.run_iter

    def run_or_not(loop: EpochBasedTrainLoop, index: int, batch: dict) -> None:
        if loop.iter + 1 not in iterations:
            run_iter(loop, index, batch)
            return
        runner = loop.runner
        runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
        runner.optim_wrapper.skipped, runner.optim_wrapper.scalars = None, {}
        runner.call_hook('after_train_iter', batch_idx=index, data_batch=batch, outputs=None)
        loop._iter += 1

    EpochBasedTrainLoop.run_iter = run_or_not
    try:
        train(config, work_dir, *arguments)
    finally:
        EpochBasedTrainLoop.run_iter = run_iter


def train_ranks(runs: Sequence[tuple[str, str, Sequence[int]]],
                ) -> tuple[list[tuple[str, int]], list[bool]]:
    """One rank's part of several trainings, which leaves its weights in ``rank<n>.pth``.

    Args:
        runs: config, work dir and the iterations to leave out.

    Returns:
        Of each the error that ended it, '' if none did, and its last iteration. And of three
        steps more whether this rank skipped them and left its weights, of which the second has an
        infinite loss on rank 1, and finite gradients everywhere.
    """
    return [_train_rank(*run) for run in runs], _infinite_loss_on_one_rank()


def _infinite_loss_on_one_rank() -> list[bool]:
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(3, 1))
    wrapper = FiniteOptimWrapper(torch.optim.Adam(model.parameters(), fused=True))
    skipped = []
    for step in range(3):
        before = model.module.weight.clone()
        with wrapper.optim_context(model):
            loss = model(torch.ones(2, 3)).sum()
        wrapper.update_params(loss + (float('inf') if step == get_rank() == 1 else 0))
        assert bool(wrapper.skipped) == torch.equal(model.module.weight, before)
        skipped.append(bool(wrapper.skipped))
    return skipped


def _train_rank(config: str, work_dir: str, without: Sequence[int]) -> tuple[str, int]:
    runners, errors = [], []
    before_train, stop = NonFiniteHook.before_train, NonFiniteHook._stop

    def note_runner(hook: NonFiniteHook, runner: Runner) -> None:
        runners.append(runner)
        before_train(hook, runner)

    def note_error(hook: NonFiniteHook, runner: Runner) -> None:
        try:
            stop(hook, runner)
        except NonFiniteError as error:
            errors.append(str(error))
            raise

    NonFiniteHook.before_train, NonFiniteHook._stop = note_runner, note_error
    try:
        train_without(without, config, work_dir, '--launcher', 'pytorch')
    except SystemExit:
        assert errors
    finally:
        NonFiniteHook.before_train, NonFiniteHook._stop = before_train, stop
    runner, = runners
    torch.save(runner.model.module.state_dict(), Path(work_dir, f'rank{get_rank()}.pth'))
    return ''.join(errors), runner.iter + bool(errors)
