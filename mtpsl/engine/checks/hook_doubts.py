"""What hooks that are left out of a training, or do not go with its loop, would not do."""

from collections.abc import Iterator

from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    Hook,
    LoggerHook,
    ParamSchedulerHook,
)
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.engine.hooks.checkpoint_hook import SafeCheckpointHook
from mtpsl.engine.hooks.deferred_info_hook import DeferredInfoHook
from mtpsl.engine.hooks.gradient_check_hook import GradientCheckHook
from mtpsl.engine.hooks.non_finite_hook import NonFiniteHook
from mtpsl.engine.hooks.reseed_hook import ReseedHook
from mtpsl.engine.hooks.resume_hook import ResumeHook
from mtpsl.engine.hooks.skipped_samples_hook import SkippedSamplesHook
from mtpsl.engine.hooks.worker_update_hook import WorkerUpdateHook

# Hooks of configs/_base_/default_runtime.py that mmengine does not add by itself, and what is
# lost without each.
LOST: dict[type[Hook], tuple[str, str]] = {
    DeferredInfoHook: ('runtime_info', 'the log has no norms of gradients, and each loss in it '
                                       'waits for the GPU'),
    NonFiniteHook: ('non_finite', 'steps whose loss or gradient is not finite are not told, and '
                                  'however many of them do not end the run'),
    SafeCheckpointHook: ('checkpoint', 'a kill while saving may leave no whole checkpoint, weights '
                                       'that are not finite are saved, and --resume does not look '
                                       'for another config'),
    ReseedHook: ('reseed', 'a resumed run draws other noise, and is not bit for bit the one that '
                           'was not interrupted; processes may draw the same noise'),
    SkippedSamplesHook: ('skipped', "images that on_error='skip' leaves out are not told"),
    GradientCheckHook: ('gradients', 'weights that no loss reaches are not told'),
    WorkerUpdateHook: ('workers', 'hooks that change the training dataset act on nothing where '
                                  'workers are persistent'),
    ResumeHook: ('resume', 'a resumed run does not rewind its curves, nor do a validation again '
                           'that was cut off, nor go on inside of an epoch'),
}


def missing_hooks(runner: Runner) -> str:
    """Name the default hooks that a training lacks, and what is lost; '' if there are all."""
    left = [kind for kind in LOST if not any(isinstance(hook, kind) for hook in runner.hooks)]
    if getattr(runner.train_dataloader.dataset, 'on_error', 'raise') != 'skip':
        left = [kind for kind in left if kind is not SkippedSamplesHook]
    if not any(isinstance(hook, CheckpointHook) for hook in runner.hooks):  # told of its own
        left = [kind for kind in left if kind is not SafeCheckpointHook]
    lost = '; '.join(f'{LOST[kind][0]} ({kind.__name__}): {LOST[kind][1]}' for kind in left)
    return lost and (f'default_hooks lacks hooks of configs/_base_/default_runtime.py. {lost}. '
                     'Without _delete_=True a config keeps them and changes what it names')


def hook_doubts(runner: Runner) -> Iterator[str]:
    """What default hooks that are left out, or do not go with the loop, would not do.

    Raises:
        ValueError: the learning rate would not follow its schedule, or there would be no
            checkpoint to go on from.
    """
    kinds = {kind: next((hook for hook in runner.hooks if isinstance(hook, kind)), None)
             for kind in (CheckpointHook, DistSamplerSeedHook, ParamSchedulerHook)}
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    if runner.cfg.get('param_scheduler') and not kinds[ParamSchedulerHook]:
        raise ValueError('there is a param_scheduler, and default_hooks.param_scheduler is None, '
                         'which would apply it; param_scheduler=None trains at one learning rate')
    saving = kinds[CheckpointHook]
    if saving is not None and saving.by_epoch and not by_epoch:
        raise ValueError('default_hooks.checkpoint.by_epoch must be False in a training by '
                         'iterations: there would be no checkpoint before its end; interval '
                         'counts iterations then, and log_processor.by_epoch=False goes with it')
    if saving is not None and saving.filename_tmpl:
        _check_template(saving.filename_tmpl)
    if by_epoch and not kinds[DistSamplerSeedHook]:
        yield ('default_hooks.sampler_seed is None: each epoch has the order of the first, and a '
               'SeededSampler its random transforms')
    loop = runner.train_loop
    end = loop.max_epochs if by_epoch and saving is not None and saving.by_epoch else (
        loop.max_iters)
    if saving is None or not saving.save_last and not 0 < saving.interval <= end:
        yield 'no checkpoint will be saved: ' + (
            'default_hooks.checkpoint is None' if saving is None else
            f'default_hooks.checkpoint.interval={saving.interval} and save_last=False')
    if saving is not None and not saving.save_last and saving.interval > 0 and (
            end % saving.interval):
        yield (f'default_hooks.checkpoint.save_last is False, and interval={saving.interval} does '
               f'not divide {end}: what is learned last will be in no checkpoint')
    if not any(isinstance(hook, LoggerHook) for hook in runner.hooks):
        yield 'default_hooks.logger is None: no loss and no figure will be in the log or the curves'
    left = [name for name in ('save_optimizer', 'save_param_scheduler')
            if saving is not None and not getattr(saving, name)]
    if left:
        yield (f'default_hooks.checkpoint.{left[0]} is False: --resume cannot go on from the '
               'checkpoints')
    if missing := missing_hooks(runner):
        yield missing
    if runner.cfg.optim_wrapper.optimizer.get('lr') == 0 and not runner.cfg.optim_wrapper.get(
            'paramwise_cfg'):
        yield 'optim_wrapper.optimizer.lr is 0: the weights stay as they are'


def _check_template(name: str) -> None:
    """Raise ValueError if checkpoints would have one name, or one by which none is found."""
    key = 'default_hooks.checkpoint.filename_tmpl'
    if name.format(1) == name.format(2):
        raise ValueError(f'{key} must hold {{}} for the number of the epoch or iteration, got '
                         f'{name!r}: all checkpoints would have one name, and the last would be '
                         'removed as the one before')
    if not name.endswith('.pth'):
        raise ValueError(f'{key} must end with .pth, got {name!r}: --resume and the tools look '
                         'for that')
