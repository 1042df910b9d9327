"""A resumed run continues its curves, and makes up for the validation it was killed in."""

from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MessageHub
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.registry import HOOKS
from mtpsl.visualization.curves import CurveVisBackend, is_training


@HOOKS.register_module()
class ResumeHook(Hook):
    """Rewinds the curves to the checkpoint; validates where that was due and did not end.

    A checkpoint is saved before the validation of its epoch, and mmengine goes on with the next
    epoch. What has been validated is known from the curves, so without a ``CurveVisBackend`` in
    the visualizer this does nothing.
    """

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        by_epoch = not loggers or loggers[0].log_metric_by_epoch
        step = runner.epoch if by_epoch else runner.iter
        found: list = [None]
        backend = runner.visualizer.get_backend('CurveVisBackend')  # None where not on rank 0
        if isinstance(backend, CurveVisBackend):
            found = [[record for record in backend.rewind(runner.iter, step)
                      if not is_training(record)]]
        broadcast_object_list(found)
        validations, = found
        if validations is None or not runner.iter or not _is_due(runner):
            return
        if any(record['step'] == step for record in validations):
            _complete_history(runner.message_hub, validations)
        else:
            runner.logger.info(f'The validation after iteration {runner.iter} was interrupted: '
                               'doing it again')
            runner.val_loop.run()


def _complete_history(hub: MessageHub, validations: list[dict]) -> None:
    """Add the last validation to a history that was saved before it (not so a new best one's)."""
    for key, value in validations[-1].items():
        if key in ('step', 'time', 'data_time'):
            continue
        count = sum(key in record for record in validations)
        known = hub.log_scalars.get(f'val/{key}')
        if known is None or len(known.data[0]) < count:
            hub.update_scalar(f'val/{key}', value)


def _is_due(runner: Runner) -> bool:
    """Whether the training loop validates at this point, by mmengine's rule."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return False
    loop._decide_current_val_interval()
    now, end = (loop.epoch, loop.max_epochs) if isinstance(loop, EpochBasedTrainLoop) else (
        loop.iter, loop.max_iters)
    return now >= loop.val_begin and (now % loop.val_interval == 0 or now == end)
