"""Tells of weights that no loss reaches."""

from collections import Counter
from functools import partial
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mtpsl.registry import HOOKS
from mtpsl.structures import batch_leaves

ENOUGH = 200  # iterations after which an epoch need not be over


@HOOKS.register_module()
class GradientCheckHook(Hook):
    """Warns of weights that should learn and get no gradient: they stay as they were at the start.

    A ``detach()`` that was forgotten, or a module that nothing calls, lets losses fall as usual.
    It is told once, after the first epoch or 200 iterations. Batches without any label do not
    count: in them :meth:`~mtpsl.models.MultiTaskModel.zero_loss` reaches all weights.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Any] = {}  # name -> handle of the hook of the weight
        self._reached: set[str] = set()
        self._labelled = False

    def before_train(self, runner: Runner) -> None:
        """Begin to watch."""
        model: nn.Module = getattr(runner.model, 'module', runner.model)
        self._waiting = {name: weight.register_post_accumulate_grad_hook(partial(self._note, name))
                         for name, weight in model.named_parameters() if weight.requires_grad}

    def _note(self, name: str, _: nn.Parameter) -> None:
        if self._labelled:
            self._reached.add(name)

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """See whether the batch has a label."""
        if self._waiting:
            self._labelled = any(sample.gt.keys() for sample in batch_leaves(
                (data_batch or {}).get('data_samples', ())) if 'gt' in sample)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Watch those no longer that got a gradient."""
        for name in self._reached:
            self._waiting.pop(name).remove()
        self._reached.clear()
        if self._waiting and self.every_n_train_iters(runner, ENOUGH):
            self._tell(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Tell of those that are left."""
        self._tell(runner)

    def _tell(self, runner: Runner) -> None:
        parts = Counter('.'.join(name.split('.')[:2]) for name in self._waiting)
        for handle in self._waiting.values():
            handle.remove()
        self._waiting = {}
        if parts:
            named = ', '.join(f'{part} ({count})' for part, count in sorted(parts.items()))
            runner.logger.warning(
                f'no loss has reached {parts.total()} weights so far, so they stay as they are: '
                f'{named}. A detach(), or a module that nothing calls? requires_grad=False says '
                'that it is meant')
