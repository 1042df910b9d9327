"""Checks learning rate schedules against the length of the training."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import EpochBasedTrainLoop, Runner

# Schedules that reach their minimum at their end, and those that decay in steps.
TO_THE_END = ('PolyLR', 'GroupPolyLR', 'CosineAnnealingLR')
IN_STEPS = ('StepLR', 'GroupStepLR', 'MultiStepLR')
WARM_UPS = ('LinearLR', 'ConstantLR')


class Length(NamedTuple):
    """The length of a training.

    Attributes:
        epochs: number of epochs; None if it runs by iterations.
        steps: total number of iterations.
        epoch: iterations per epoch of the data.
    """

    epochs: int | None
    steps: int
    epoch: int


def length_of(runner: Runner) -> Length:
    """Return the length of a runner's training."""
    loop = runner.train_loop
    epochs = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else None
    return Length(epochs, loop.max_iters, max(len(runner.train_dataloader), 1))


def schedule_doubts(schedules: Any, length: Length) -> Iterator[str]:
    """Yield warnings of learning rate schedules that do not fit the length of the training.

    Raises:
        ValueError: a schedule by epochs in a training by iterations, which mmengine never steps.
    """
    listed = schedules if isinstance(schedules, (list, tuple)) else [schedules or {}]
    ends: list[tuple[float, str, float, int, str]] = []
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
        elif kind in WARM_UPS and _rises(one) and one.get('end', INF) - begin > total / 2:
            ends_at = one.get('end', INF)
            yield (f'{name} holds the learning rate below optim_wrapper.optimizer.lr '
                   f'{"for ever" if ends_at >= INF else f"until {ends_at} {unit}"}, the training '
                   f'ends after {total}: by_epoch=False counts iterations, end says when the full '
                   'rate is reached')
        elif kind == 'OneCycleLR' and abs(one.get('total_steps', total) - total) > 1:
            yield (f'{name} has total_steps={one["total_steps"]}, the training {total} {unit}: it '
                   'would end amid the cycle')
        elif kind in TO_THE_END:
            end = min(one.get('end', INF), begin + (one.get('T_max') or INF))
            ends.append((end / total, name, end, total, unit))
        elif kind in IN_STEPS and begin + min(
                [*one.get('milestones', ()), *([one['step_size']] if 'step_size' in one else ())],
                default=0) >= total:
            yield f'{name} makes its first step after the {total} {unit} of the training: it ' \
                  'does nothing'
        elif late := [stone for stone in one.get('milestones', ()) if begin + stone >= total]:
            yield (f'{name}: the milestones {", ".join(map(str, late))} lie after the {total} '
                   f'{unit} of the training and are never reached')
    if ends:
        _, name, end, total, unit = max(ends)
        yield from _end_doubts(name, end, total, unit)


def _end_doubts(name: str, end: float, total: int, unit: str) -> Iterator[str]:
    """Yield a warning if a schedule does not reach its minimum at the end of the training."""
    if end > total + 1:  # mmengine's PolyLR reaches its minimum one step before its end
        yield (f'{name} ends after {"ever" if end >= INF else end} {unit}, the training after '
               f'{total}: the learning rate will not have come down; end={total} goes with it')
    elif end < total - 1:
        yield (f'{name} ends after {end} {unit}, the training after {total}: for the rest the '
               f'learning rate stays at its least; end={total} goes with it')


def _rises(schedule: Mapping[str, Any]) -> bool:
    """Return whether a LinearLR or ConstantLR starts below the full learning rate."""
    start = schedule.get('start_factor', schedule.get('factor', 1 / 3))
    return start < schedule.get('end_factor', 1.0)
