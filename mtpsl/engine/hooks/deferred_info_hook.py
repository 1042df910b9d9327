"""Logs losses without a device synchronisation per loss."""

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mtpsl.engine.optim.async_host_copy import AsyncHostCopy
from mtpsl.engine.optim.optim_wrapper import FiniteOptimWrapper
from mtpsl.engine.ranks import bare_model
from mtpsl.registry import HOOKS


@HOOKS.register_module()
class DeferredInfoHook(RuntimeInfoHook):
    """mmengine's ``RuntimeInfoHook`` with one transfer per step, read one step later.

    mmengine's hook reads each loss by itself, and each read waits for the GPU. Here the message
    hub gets the same numbers in the same order, on a GPU one step later; it is up to date whenever
    a line is logged, an epoch ends or a checkpoint is saved. Scalars of a
    :class:`FiniteOptimWrapper` are logged too. Losses are in the order of the config's tasks,
    whichever task had a label first.
    """

    def __init__(self) -> None:
        self._queue: AsyncHostCopy[dict[str, object]] = AsyncHostCopy()

    def before_train(self, runner: Runner) -> None:
        """Find the hooks that log."""
        super().before_train(runner)
        self._loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Send the step's numbers; record those that have arrived."""
        scalars = dict(outputs or {})
        if isinstance(runner.optim_wrapper, FiniteOptimWrapper):
            scalars = runner.optim_wrapper.scalars | scalars
        tensors = [value for value in scalars.values() if isinstance(value, Tensor)]
        if scalars:
            with torch.no_grad():
                packed = torch.stack([tensor.reshape(()) for tensor in tensors]) if tensors else (
                    torch.empty(0))
            self._queue.put(packed, {
                # Tensors are replaced by their type, so that none is kept alive.
                f'train/{key}': (float if value.is_floating_point() else int)
                if isinstance(value, Tensor) else value for key, value in scalars.items()})
        self._note(runner, self._is_logged(runner, batch_idx))

    def after_train_epoch(self, runner: Runner) -> None:
        """Record all numbers of the epoch."""
        self._note(runner, everything=True)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record all numbers, and put the updated message hub into the checkpoint."""
        self._note(runner, everything=True)
        checkpoint['message_hub'] = runner.message_hub.state_dict()

    def _is_logged(self, runner: Runner, batch_idx: int) -> bool:
        """Return whether a line is logged after this iteration."""
        return self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
            self.every_n_inner_iters(batch_idx, hook.interval) for hook in self._loggers)

    def _note(self, runner: Runner, everything: bool) -> None:
        for values, scalars in self._queue.get(everything):
            numbers = iter(values.tolist())
            for key, value in scalars.items():
                runner.message_hub.update_scalar(
                    key, value(next(numbers)) if isinstance(value, type) else value)
        if everything:
            _sort_losses(runner)


def _sort_losses(runner: Runner) -> None:
    """Sort losses: the total, then the tasks in the config's order, then the method's own."""
    model = bare_model(runner)
    tasks = list(getattr(model, 'shown', ()))

    def place(key: str) -> tuple[int, str]:
        name = key.removeprefix('train/loss').removeprefix('_')
        owners = [task for task in tasks if f'{name}_'.startswith(f'{task}_')]
        number = tasks.index(max(owners, key=len)) if owners else len(tasks)
        return number if name else -1, name

    scalars = runner.message_hub.log_scalars
    for key in sorted((key for key in scalars if key.startswith('train/loss')), key=place):
        scalars.move_to_end(key)
