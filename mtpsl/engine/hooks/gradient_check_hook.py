"""Tells of weights that no loss reaches, and of steps in evaluation mode."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mtpsl.engine.own_states import each_wrapper
from mtpsl.engine.ranks import bare_model
from mtpsl.registry import HOOKS
from mtpsl.structures import batch_leaves

ENOUGH = 200  # iterations after which an epoch need not be over


@HOOKS.register_module()
class GradientCheckHook(Hook):
    """Warns of weights that should learn and get no gradient: they stay as they were at the start.

    A ``detach()`` that was forgotten, or a module that nothing calls, lets losses fall as usual.
    It is told once, after the first epoch or 200 iterations. Weights of a task without a label in
    a batch do not count in it, nor any in a batch without labels: all of them get zero gradients,
    see :meth:`~mtpsl.models.MultiTaskModel.zero_loss`; nor weights that a hook has frozen.

    At the start of an epoch it tells, once, of weights that should learn and no optimiser has:
    those of modules that were made after it was built, as by a hook.

    It is told, too, once, where the model is in evaluation mode in a training step, as a hook that
    draws predictions may leave it: BatchNorm would then learn no statistics.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Any] = {}  # name -> handle of the hook of the weight
        self._weights: dict[str, nn.Parameter] = {}
        self._reached: set[str] = set()
        self._owner: dict[str, str] = {}  # name -> task
        self._labelled: set[str] = set()  # tasks of the batch
        self._met: set[str] = set()  # tasks of all batches so far
        self._evaluating = self._begun = self._strays = False

    def before_train(self, runner: Runner) -> None:
        """Begin to watch."""
        model = bare_model(runner)
        if hasattr(model, 'tasks_of_weights'):
            self._owner = model.tasks_of_weights()
        self._weights = {name: weight for name, weight in model.named_parameters()
                         if weight.requires_grad}
        self._waiting = {name: weight.register_post_accumulate_grad_hook(partial(self._note, name))
                         for name, weight in self._weights.items()}

    def _note(self, name: str, _: nn.Parameter) -> None:
        if self._owner[name] in self._labelled if name in self._owner else self._labelled:
            self._reached.add(name)

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """See for which tasks the batch has labels, and whether the model trains."""
        if not runner.model.training and not self._evaluating:
            self._evaluating = True
            runner.logger.warning(
                f'the model is in evaluation mode in the training step {runner.iter + 1}: a hook '
                'has called eval(), and not train() afterwards')
        if not self._strays and (batch_idx == 0 or not self._begun):
            self._begun = True
            self._tell_of_strays(runner)
        if self._waiting:
            self._labelled = set().union(*(sample.gt.keys() for sample in batch_leaves(
                (data_batch or {})['data_samples'])))
            self._met |= self._labelled
            self._reached.update(name for name in self._waiting
                                 if not self._weights[name].requires_grad)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Watch those no longer that got a gradient."""
        for name in self._reached:
            self._waiting.pop(name).remove()
        self._reached.clear()
        if self._waiting and self.every_n_train_iters(runner, ENOUGH):
            self._tell(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Tell of those that are left, once a batch had labels: a resumed epoch may be empty."""
        if self._met:
            self._tell(runner)

    def _tell_of_strays(self, runner: Runner) -> None:
        held = {id(weight) for one in each_wrapper(runner) for group in one.param_groups
                for weight in group['params']}
        weights = dict(bare_model(runner).named_parameters())
        own = {id(weight) for weight in weights.values()}
        self._reached.update(name for name in self._waiting if id(self._weights[name]) not in own)
        count, parts = _parts(name for name, weight in weights.items()
                              if weight.requires_grad and id(weight) not in held)
        if count:
            self._strays = True
            runner.logger.warning(
                f'no optimiser has {count} weights, so they stay as they are: {parts}. A module '
                'that a hook makes after the optimiser was built? Make it in the model, or give '
                'its weights to runner.optim_wrapper.optimizer.add_param_group in before_train. '
                'requires_grad=False says that it is meant')

    def _tell(self, runner: Runner) -> None:
        count, parts = _parts(name for name in self._waiting
                              if name not in self._owner or self._owner[name] in self._met)
        for handle in self._waiting.values():
            handle.remove()
        self._waiting, self._weights = {}, {}
        if count:
            runner.logger.warning(
                f'no loss has reached {count} weights so far, so they stay as they are: {parts}. A '
                'detach(), or a module that nothing calls? requires_grad=False says '
                'that it is meant')


def _parts(names: Iterable[str]) -> tuple[int, str]:
    """Count weights, in all and by the first two parts of their names."""
    counts = Counter('.'.join(name.split('.')[:2]) for name in names)
    return counts.total(), ', '.join(f'{part} ({count})' for part, count in sorted(counts.items()))
