"""Reports the images of skipped steps; stops a run that skips too many."""

from collections.abc import Iterator
from typing import NamedTuple

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mtpsl.engine.checkpoints.content import name_some, not_finite
from mtpsl.engine.checkpoints.latest import latest_checkpoint
from mtpsl.engine.optim.async_host_copy import AsyncHostCopy
from mtpsl.engine.optim.optim_wrapper import FiniteOptimWrapper
from mtpsl.engine.ranks import bare_model
from mtpsl.registry import HOOKS
from mtpsl.structures import batch_leaves

TOTAL = 'train/skipped_steps'  # in the runner's message hub, so in its checkpoints


class NonFiniteError(RuntimeError):
    """Too many steps in a row had a loss or a gradient that is not finite."""


class _Step(NamedTuple):
    """The iterations of one optimisation step, several with accumulated gradients."""

    iterations: list[int]
    batches: list[dict]
    losses: list[dict[str, Tensor]]


class _Finding(NamedTuple):
    """The images and losses of a skipped step on one process."""

    images: list[str]
    losses: list[str]  # losses that are not finite, with their values


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Reports the steps that :class:`FiniteOptimWrapper` skips; stops after too many in a row.

    A warning per skipped step names its images, only those of the processes whose losses are not
    finite, and which of their inputs and labels are not finite. On a GPU it comes one step late.
    The total is the entry ``skipped_steps`` of the log and is restored by ``--resume``; the number
    in a row is not.

    Args:
        patience: number of skipped steps in a row after which the run stops, at least 1.

    Raises:
        NonFiniteError: in training, ``patience`` steps in a row were skipped.
        ValueError: a patience below 1; before training, an optim wrapper that does not skip steps.
    """

    priority = 'NORMAL'  # before the log's line and checkpoints are written

    def __init__(self, patience: int = 10) -> None:
        if not (isinstance(patience, int) and patience >= 1):
            raise ValueError(f'NonFiniteHook: patience must be an integer of at least 1, got '
                             f'{patience!r}')
        self.patience = patience
        self._queue: AsyncHostCopy[_Step] = AsyncHostCopy()
        self._step = _Step([], [], [])
        self._row: list[tuple[list[int], list[_Finding]]] = []  # steps skipped in a row

    def before_train(self, runner: Runner) -> None:
        """Restore the number of skipped steps."""
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, FiniteOptimWrapper):
            raise ValueError(  # to a TypeError mmengine adds the hook
                f'optim_wrapper.type must be FiniteOptimWrapper, or AutocastOptimWrapper for '
                f'bfloat16, got {type(wrapper).__name__}: only they skip steps that are not '
                'finite, which default_hooks.non_finite reports, and leave the weights of a task '
                'without a label in a step unchanged; default_hooks.non_finite=None does without')
        if TOTAL in runner.message_hub.log_scalars:
            wrapper.skipped_steps = int(runner.message_hub.get_scalar(TOTAL).current())

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Record the iteration; report the steps whose outcome is known by now."""
        self._step.iterations.append(runner.iter + 1)
        self._step.batches.append(data_batch or {})
        self._step.losses.append({key: value.detach() for key, value in (outputs or {}).items()
                                  if isinstance(value, Tensor)})
        if runner.optim_wrapper.skipped is not None:  # otherwise gradients were only accumulated
            self._queue.put(runner.optim_wrapper.skipped, self._step)
            self._step = _Step([], [], [])
        self._look(runner, everything=False)

    def after_train_epoch(self, runner: Runner) -> None:
        """Report all steps of the epoch."""
        self._look(runner, everything=True)

    def _look(self, runner: Runner, everything: bool) -> None:
        for skipped, step in self._queue.get(everything):
            if not skipped:
                self._row = []
                continue
            # All ranks have the same answer, and get here after the same iteration.
            findings = all_gather_object(_find(step))
            self._row.append((step.iterations, findings))
            runner.logger.warning(
                f'{_name(step)}: {_reason(findings)}; the step is skipped. Images: '
                f'{_images(findings)}')
            if len(self._row) == self.patience:
                self._stop(runner)

    def _stop(self, runner: Runner) -> None:
        findings = [finding for _, step in self._row for finding in step]
        first, last = self._row[0][0][0], self._row[-1][0][-1]
        try:
            path, damage = latest_checkpoint(runner.work_dir)
            path = f'{path} ({damage})' if damage else path
        except ValueError as error:  # all are damaged
            path = str(error)
        names = not_finite(bare_model(runner).state_dict())
        weights = 'The weights are as they were before' if not names else (
            f'The weights themselves are not finite since an earlier update, {name_some(names)}: '
            'lower the learning rate or the weight decay, or raise eps of the optimizer')
        raise NonFiniteError(
            f'{self.patience} steps in a row, iterations {first} to {last}: {_reason(findings)}; '
            f'they were skipped and training stops. Their images: {_images(findings)}. {weights}; '
            f'last checkpoint: {path or "none yet"}')


def _find(step: _Step) -> _Finding:
    """Collect the images and losses of a skipped step; only then does the host read numbers."""
    losses = {key: float(value) for losses in step.losses for key, value in losses.items()
              if not value.isfinite()}
    return _Finding([image for batch in step.batches for image in _names(batch)],
                    [f'{key} {value}' for key, value in losses.items()])


def _names(batch: dict) -> Iterator[str]:
    """Yield the images of a batch, view by view, with their inputs and labels not finite."""
    for image, sample in zip(batch_leaves(batch['inputs']),
                             batch_leaves(batch['data_samples'])):
        view = f' view {sample.view}' if 'view' in sample else ''
        parts = {'image': image} | {f'label {name}': label for name, label in sample.gt.items()}
        broken = [name for name, numbers in parts.items() if not numbers.isfinite().all()]
        yield f'{sample.img_id}{view}' + (f' (not finite: {", ".join(broken)})' if broken else '')


def _name(step: _Step) -> str:
    first, last = step.iterations[0], step.iterations[-1]
    return f'Iteration {first}' if first == last else f'Iterations {first} to {last}'


def _reason(findings: list[_Finding]) -> str:
    losses = list(dict.fromkeys(loss for finding in findings for loss in finding.losses))
    return f'not finite: {", ".join(losses)}' if losses else (
        'all losses are finite, but their gradients or the batch statistics are not')


def _images(findings: list[_Finding]) -> str:
    """Name the images of processes whose losses are not finite, else those of all."""
    suspects = [finding for finding in findings if finding.losses] or findings
    return ', '.join(dict.fromkeys(name for finding in suspects for name in finding.images))
