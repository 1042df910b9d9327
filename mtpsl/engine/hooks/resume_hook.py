"""Continues the curves of a resumed run, and re-runs an interrupted validation."""

import math
from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook, Hook, ParamSchedulerHook
from mmengine.logging import MessageHub
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mtpsl.datasets.sampler import SeededSampler
from mtpsl.engine.checkpoints.content import name_some, read_weights
from mtpsl.engine.ranks import bare_model
from mtpsl.engine.visualization.curve_backend import (
    CurveVisBackend,
    curves_of,
    is_training,
)
from mtpsl.registry import HOOKS
from mtpsl.system.files import RESULT, put_aside


@HOOKS.register_module()
class ResumeHook(Hook):
    """Rewinds the curves to the checkpoint; runs a validation that was due and did not finish.

    A checkpoint is saved before the validation of its epoch, and mmengine resumes with the next
    epoch. The curves tell which validations have finished, so without a ``CurveVisBackend`` in
    the visualizer no validation is done again (:func:`mtpsl.engine.build_runner` adds one). A new
    run in a used folder moves the earlier curves to ``curves.<time>.json``, and any training the
    figures of an earlier test, since checkpoints of other weights may get the names of those.

    What counts over validations goes on where it was: a schedule that the checkpoint was saved
    before (``ReduceOnPlateauLR``) gets the figures of the last one, and ``EarlyStoppingHook``,
    whose state no checkpoint holds, those of all.
    """

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Go on where the checkpoint is: inside of its epoch, too."""
        _tell_other_weights(runner)
        _seed_sampler(runner)
        _skip_trained(runner)
        found: list = [None]
        backend = curves_of(runner.visualizer)
        if backend:
            found = [_rewind(backend, runner)]
        if is_main_process() and runner.iter < runner.max_iters:
            figures = Path(runner.work_dir, RESULT)
            for path in (figures, figures.with_suffix('.md')):
                put_aside(path)
        broadcast_object_list(found)
        validations, = found
        if not runner.iter:
            return
        due = validations is not None and _is_due(runner)
        done = bool(validations) and validations[-1]['after'] == runner.iter
        if due and done:
            _complete_schedules(runner, _complete_history(runner.message_hub, validations))
        _count_again(runner)
        if due and not done:
            runner.logger.info(f'The validation after iteration {runner.iter} is not in the '
                               'curves: doing it')
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Go on inside of a pass through the data, of a training by iterations."""
        if runner._resume and isinstance(runner.train_loop, IterBasedTrainLoop):
            _go_on(runner)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Give the curves the current iteration, for a validation that may follow."""
        backend = curves_of(runner.visualizer)
        if backend:
            backend.iteration = runner.iter + 1


def _tell_other_weights(runner: Runner) -> None:
    """Warn where a hook has changed weights since the checkpoint was loaded.

    Sums are compared, since loading may put channels into another order.
    """
    averaged = any(isinstance(hook, EMAHook) for hook in runner.hooks)
    if not (runner._resume and runner._load_from and is_main_process()) or averaged:
        return
    model = bare_model(runner)
    saved = read_weights(runner._load_from)
    sums = [{name: value.double().abs().sum().item() for name, value in weights.items()}
            for weights in (model.state_dict(), saved)]
    changed = [name for name, value in sums[0].items()
               if not math.isclose(value, sums[1].get(name, value), rel_tol=1e-5, abs_tol=1e-8)]
    if changed:
        runner.logger.warning(
            f'weights are others than those of {runner._load_from}, {name_some(changed)}: what a '
            'hook does to them at the start of a training, it does again at --resume, and what '
            'they had learned is gone')


def _seed_sampler(runner: Runner) -> None:
    """Give the sampler the checkpoint's seed, which mmengine reads after it has built the loader.

    It matters where the config has ``seed=None``.
    """
    sampler = runner.train_loop.dataloader.sampler
    given = [runner.cfg.get('randomness'), runner.cfg.train_dataloader.get('sampler')]
    if runner._resume and isinstance(sampler, SeededSampler) and all(
            (part or {}).get('seed') is None for part in given):
        sampler.seed = runner.seed


def _skip_trained(runner: Runner) -> None:
    """Leave out the steps of an epoch that were done before a checkpoint inside of it.

    mmengine begins the epoch anew.
    """
    loop = runner.train_loop
    done = _done_inside(runner)
    if not done:
        return
    steps = len(loop.dataloader)
    sampler, where = loop.dataloader.sampler, f'{done} of the {steps} steps of epoch '
    if isinstance(sampler, SeededSampler) and loop.dataloader.batch_size:
        sampler.passed = done * loop.dataloader.batch_size
        runner.logger.info(f'{where}{loop.epoch + 1} are done: going on after them')
    else:
        runner.logger.warning(f'{where}{loop.epoch + 1} are done again, since the sampler is no '
                              'SeededSampler')


def _go_on(runner: Runner) -> None:
    """Let the loop's first batch be the one after the checkpoint, without loading those before it.

    mmengine asks the sampler to skip draws, which does not fit one whose passes end.
    """
    loop = runner.train_loop
    loader, batches = loop.dataloader, loop.dataloader_iterator
    if runner.iter and isinstance(loader.sampler, SeededSampler) and loader.batch_size:
        batches._epoch, done = divmod(runner.iter, len(loader))
        loader.sampler.set_epoch(batches._epoch)
        loader.sampler.passed = done * loader.batch_size
        batches._iterator = iter(loader)
        batches.skip_iter = lambda num_iters: None


def _done_inside(runner: Runner) -> int:
    """Return how many steps of an epoch a checkpoint inside of it, or at its end, has; else 0."""
    loop = runner.train_loop
    if not (runner._resume and isinstance(loop, EpochBasedTrainLoop)):
        return 0
    steps = len(loop.dataloader)
    done = runner.iter - loop.epoch * steps
    return done if 0 < done <= steps else 0


def _rewind(backend: CurveVisBackend, runner: Runner) -> list[dict]:
    """Rewind the curves; return the validations before the resumed iteration."""
    if not runner.iter and backend.path.exists():
        backend.path.rename(backend.path.with_name(f'curves.{runner.timestamp}.json'))
    records = backend.rewind(runner.iter)
    validations = [record for record in records if not is_training(record)]
    if validations and validations[-1]['after'] == runner.iter and (
            _done_inside(runner) or _may_lack_best(runner, validations)):  # it will be done again
        records.remove(validations.pop())
        backend.write(records)
    return validations


def _may_lack_best(runner: Runner, validations: list[dict]) -> bool:
    """Return whether a kill may have hit between a validation and its best checkpoint."""
    return any(isinstance(hook, CheckpointHook) and hook.save_best for hook in runner.hooks) and (
        any(True for _ in _unknown(runner.message_hub, validations)))


def _unknown(hub: MessageHub, validations: list[dict]) -> Iterator[tuple[str, float]]:
    """Yield the metrics of the last validation that the message hub's history lacks."""
    for key, value in validations[-1].items():
        if key in ('step', 'after', 'time', 'data_time'):
            continue
        count = sum(key in record for record in validations)
        known = hub.log_scalars.get(f'val/{key}')
        if known is None or len(known.data[0]) < count:
            yield key, math.nan if value is None else value


def _complete_history(hub: MessageHub, validations: list[dict]) -> dict[str, float]:
    """Add the figures of the last validation that the history lacks; return them."""
    unknown = dict(_unknown(hub, validations))
    for key, value in unknown.items():
        hub.update_scalar(f'val/{key}', value)
    return unknown


def _complete_schedules(runner: Runner, figures: dict[str, float]) -> None:
    """Tell the schedules of a validation that came after the checkpoint.

    A checkpoint holds the history and the schedules of one moment: what the history lacks, they
    have not seen.
    """
    if not figures:
        return
    for hook in runner.hooks:
        if isinstance(hook, ParamSchedulerHook):
            hook.after_val_epoch(runner, figures)


def _count_again(runner: Runner) -> None:
    """Tell EarlyStoppingHook of the validations so far."""
    for hook in runner.hooks:
        if not isinstance(hook, EarlyStoppingHook):
            continue
        known = runner.message_hub.log_scalars.get(f'val/{hook.monitor}')
        for value in known.data[0].tolist() if known else ():
            hook.after_val_epoch(runner, {hook.monitor: value})
        if runner.train_loop.stop_training:
            runner.logger.warning(
                f'EarlyStoppingHook: by its {hook.monitor} the run has ended, so nothing is left '
                'to train; a larger patience, or --resume without the hook, goes on')
            return


def _is_due(runner: Runner) -> bool:
    """Return whether mmengine's rule asks for a validation at this point."""
    loop = runner.train_loop
    if runner.val_loop is None or _done_inside(runner):
        return False
    loop._decide_current_val_interval()
    now, end = (loop.epoch, loop.max_epochs) if isinstance(loop, EpochBasedTrainLoop) else (
        loop.iter, loop.max_iters)
    return now >= loop.val_begin and (now % loop.val_interval == 0 or now == end)
