"""What only a built runner and its data can tell of a training, before it begins."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.hooks import CheckpointHook, DistSamplerSeedHook, ParamSchedulerHook
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.engine.checkpoints.content import DATA_KEY, read_content
from mtpsl.engine.checkpoints.resume import differences
from mtpsl.evaluation import MultiTaskMetric
from mtpsl.tasks import Task

from .ranks import compare_data, content_of

# Schedules that come down to their least value at their end, and those that step down on the way.
TO_THE_END = ('PolyLR', 'GroupPolyLR', 'CosineAnnealingLR')
IN_STEPS = ('StepLR', 'GroupStepLR', 'MultiStepLR')


def check_training(runner: Runner) -> None:
    """Check what the runner is to train with; builds the loaders.

    Raises:
        ValueError: nothing would be trained, a part of the config would do nothing, or the
            processes have other images or labels.
    """
    _check_slice(runner)
    compare_data(runner.train_dataloader.dataset, 'training data')
    _check_losses(runner)
    check_batches(runner)
    _check_custom_keys(runner)
    for found in (*schedule_doubts(runner.cfg.get('param_scheduler'), _length(runner)),
                  *_hook_doubts(runner), *_other_data(runner)):
        runner.logger.warning(found)
    _check_best(runner)


def check_batches(runner: Runner) -> None:
    """Raise ValueError where an epoch would hold no batch; warn of the order and of windows."""
    loader = runner.train_dataloader
    sampler = type(getattr(loader, 'sampler', None)).__name__
    if not sampler.endswith('InfiniteSampler') and not len(loader):
        raise ValueError(
            f'the {len(loader.dataset)} training images make no batch of {loader.batch_size} on '
            f'{runner.world_size} processes, since train_dataloader.drop_last leaves out what is '
            'incomplete; lower train_dataloader.batch_size')
    if getattr(getattr(loader, 'sampler', None), 'shuffle', True) is False:
        runner.logger.warning('train_dataloader.sampler.shuffle is False: the images come in one '
                              'order in all epochs')
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return  # iterations go round and round
    counts = runner.cfg.optim_wrapper.get('accumulative_counts', 1)
    if len(loader) % counts:
        runner.logger.warning(
            f'optim_wrapper.accumulative_counts={counts} does not divide the {len(loader)} steps '
            'of an epoch: a checkpoint in between has no part of the update that is under way, so '
            'a resumed run is not bit for bit the one that was not interrupted')


def _check_losses(runner: Runner) -> None:
    tasks = getattr(getattr(runner.model, 'module', runner.model), 'tasks', {})
    if tasks and all(task.loss_weight == 0 for task in tasks.values()):
        raise ValueError(f'loss_weight is 0 for all tasks, {", ".join(tasks)}: nothing would be '
                         'trained')


def _check_slice(runner: Runner) -> None:
    """mmengine's slice of a dataset may be longer than it."""
    dataset = runner.train_dataloader.dataset
    whole = getattr(dataset, '_dataset', dataset)
    if len(dataset) > len(whole):
        number = runner.cfg.train_dataloader.num_batch_per_epoch
        raise ValueError(f'train_dataloader.num_batch_per_epoch={number} takes {len(dataset)} '
                         f'images, there are {len(whole)}')


def _hook_doubts(runner: Runner) -> Iterator[str]:
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
    if runner.cfg.optim_wrapper.optimizer.get('lr') == 0 and not runner.cfg.optim_wrapper.get(
            'paramwise_cfg'):
        yield 'optim_wrapper.optimizer.lr is 0: the weights stay as they are'


def _check_custom_keys(runner: Runner) -> None:
    """Of mmengine's constructor; the groups of this project check their names themselves."""
    wrapper = runner.cfg.optim_wrapper
    if 'constructor' in wrapper:
        return
    model = getattr(runner.model, 'module', runner.model)
    names = [name for name, _ in model.named_parameters()]
    for key in (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}:
        if not any(key in name for name in names):
            raise ValueError(
                f'optim_wrapper.paramwise_cfg.custom_keys.{key}: no parameter of the model has '
                f'that in its name; they begin with '
                f'{", ".join(dict.fromkeys(name.partition(".")[0] for name in names))}')


# ------------------------------------------------------------------ schedules

class Length(NamedTuple):
    """How long a training is.

    Attributes:
        epochs: None where it goes by iterations.
        steps: iterations in all.
        epoch: iterations of one epoch of the data.
    """

    epochs: int | None
    steps: int
    epoch: int


def _length(runner: Runner) -> Length:
    loop = runner.train_loop
    epochs = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else None
    return Length(epochs, loop.max_iters, max(len(runner.train_dataloader), 1))


def schedule_doubts(schedules: Any, length: Length) -> Iterator[str]:
    """What of schedules of the learning rate does not go with the training's length.

    Raises:
        ValueError: a schedule by epochs in a training by iterations, which mmengine never steps.
    """
    listed = schedules if isinstance(schedules, (list, tuple)) else [schedules or {}]
    ends: list[tuple[float, str, float, str]] = []
    for number, one in enumerate(listed):
        kind = str(one.get('type')).rpartition('.')[2] if isinstance(one, Mapping) else ''
        if not kind.endswith('LR'):
            continue
        name, total, unit = f'param_scheduler.{number} ({kind})', length.steps, 'iterations'
        if one.get('by_epoch', True):
            unit = 'epochs'
            if length.epochs is None and not one.get('convert_to_iter_based'):
                raise ValueError(f'{name} goes by epochs and the training by iterations, so that '
                                 'it would never act: by_epoch=False and begin and end in '
                                 'iterations, or convert_to_iter_based=True')
            total = length.epochs or -(-length.steps // length.epoch)
        begin = one.get('begin', 0)
        if begin >= total:
            yield f'{name} begins after {begin} {unit}, the training ends after {total}: it does ' \
                  'nothing'
        elif kind in TO_THE_END:
            end = min(one.get('end', INF), begin + (one.get('T_max') or INF))
            ends.append((end / total, name, end, f'{total} {unit}'))
        elif kind in IN_STEPS and begin + min(
                [*one.get('milestones', ()), *([one['step_size']] if 'step_size' in one else ())],
                default=0) >= total:
            yield f'{name} makes its first step after the {total} {unit} of the training: it ' \
                  'does nothing'
    if not ends:
        return
    _, name, end, told = max(ends)
    place, _, unit = told.partition(' ')
    if end > int(place) + 1:  # mmengine's PolyLR reaches its least value at the end's last step
        yield (f'{name} ends after {"ever" if end >= INF else end} {unit}, the training after '
               f'{place}: the learning rate will not have come down; end={place} goes with it')
    elif end < int(place) - 1:
        yield (f'{name} ends after {end} {unit}, the training after {place}: for the rest the '
               f'learning rate stays at its least; end={place} goes with it')


# ------------------------------------------------------------------ data and figures

def _other_data(runner: Runner) -> Iterator[str]:
    """Whether a resumed run has ended, or was on other images, which gives another order."""
    if not runner._resume or not runner._load_from:
        return
    meta = read_content(runner._load_from).get('meta') or {}
    length = _length(runner)
    unit, end = ('epoch', length.epochs) if length.epochs else ('iter', length.steps)
    if meta.get(unit, 0) >= end:
        yield (f'{runner._load_from} has {unit} {meta[unit]}, the training ends at {end}: nothing '
               'is left to train')
    if DATA_KEY not in meta:
        return
    found = differences(json.loads(meta[DATA_KEY]), content_of(runner.train_dataloader.dataset))
    if found:
        yield (f'{runner._load_from} is of a run on other training data: {found}. It goes on with '
               'those that are there now, in other batches and perhaps in more or fewer steps an '
               'epoch')


def _check_best(runner: Runner) -> None:
    """Raise ValueError where no best checkpoint could be chosen, which mmengine tells hours later.
    """
    keys = [key for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.save_best
            for key in hook.key_indicators]
    if not keys:
        return
    loop = runner.train_loop
    end = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else loop.max_iters
    if runner.val_loop is None or loop.val_begin > end:
        raise ValueError(f'default_hooks.checkpoint.save_best={", ".join(keys)} needs a '
                         'validation, and there is none: ' + (
                             'the config has no val_dataloader' if runner.val_loop is None else
                             f'train_cfg.val_begin is {loop.val_begin}, the training ends at '
                             f'{end}'))
    metrics = runner.val_evaluator.metrics
    if not all(isinstance(metric, MultiTaskMetric) for metric in metrics):
        return  # others do not tell what they give
    names = [name for metric in metrics for name in figures(metric)]
    for key in keys:
        if key != 'auto' and key.removeprefix('initial/') not in names:
            raise ValueError(f'default_hooks.checkpoint.save_best={key!r} is no figure of the '
                             f'validation, which gives {", ".join(names)}')


def figures(metric: MultiTaskMetric) -> list[str]:
    """The names of what an evaluation of final predictions gives."""
    found = [f'{name}/{key}' for name, task in metric.scored.items()
             for key in _scores(task, metric.per_class)]
    complete = metric.single_task and len(metric.scored) == len(metric.tasks)
    return found + ['delta_m'] * bool(complete)


def _scores(task: Task, per_class: bool) -> list[str]:
    """The task's own names, of a map of which nothing is known."""
    side = max(task.least_side, 8)
    prediction = task.activate(torch.zeros(1, task.channels, side, side))
    label = torch.full((1, task.label_channels, side, side), float(task.ignore_value))
    label = label.to(torch.uint8 if np.dtype(task.label_dtype).itemsize == 1 else torch.float32)
    stats = task.stats(prediction, label)
    return [*task.score(stats), *(task.class_scores(stats) if per_class else ())]
