"""Checks learning rate schedules against the length of the training."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.engine.optim.parameter_groups import REST
from mtpsl.registry import PARAM_SCHEDULERS

# Schedules that reach their minimum at their end (the first, mmengine's polynomials, one step
# before it), and those that decay in steps.
POLYNOMIALS = ('PolyLR', 'GroupPolyLR')
TO_THE_END = (*POLYNOMIALS, 'CosineAnnealingLR')
IN_STEPS = ('StepLR', 'GroupStepLR', 'MultiStepLR')
WARM_UPS = ('LinearLR', 'ConstantLR')
RISES = 0.01  # share of the learning rate that it rises by at the end


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


class _End(NamedTuple):
    """Where a schedule reaches its minimum: ``key=value`` of its config, best ``key=right``."""

    name: str
    key: str
    value: float
    right: int
    end: float
    total: int
    unit: str


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
    ends: list[_End] = []
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
            ends.append(_end({'end': _default_end(one, length)} | one, kind, name, total, unit))
        elif kind in IN_STEPS and begin + min(
                [*one.get('milestones', ()), *([one['step_size']] if 'step_size' in one else ())],
                default=0) >= total:
            yield f'{name} makes its first step after the {total} {unit} of the training: it ' \
                  'does nothing'
        elif late := [stone for stone in one.get('milestones', ()) if begin + stone >= total]:
            yield (f'{name}: the milestones {", ".join(map(str, late))} lie after the {total} '
                   f'{unit} of the training and are never reached')
    yield from _end_doubts(ends, rates(listed, length), length)


def rates(schedules: Sequence[Any], length: Length) -> dict[str, np.ndarray]:
    """Run learning rate schedules on the host, as a training of that length would.

    Args:
        schedules: configs of ``param_scheduler``; others than those of the learning rate do not
            count.
        length: of the training.

    Returns:
        Parameter group -> the learning rate of each epoch, or of each iteration if a schedule
        goes by iterations; that of the optimiser is 1. Empty if there is no schedule, or one
        cannot be built, of which the runner tells.
    """
    ours = [dict(one) for one in schedules
            if isinstance(one, Mapping) and str(one.get('type')).endswith('LR')]
    names = dict.fromkeys([REST, *(name for one in ours for name in one.get('groups', ()))])
    optimizer = torch.optim.SGD([dict(params=[torch.zeros(1, requires_grad=True)], name=name)
                                 for name in names], lr=1.0)
    try:
        built = [PARAM_SCHEDULERS.build(
            {'end': _default_end(one, length)} | one,
            default_args=dict(optimizer=optimizer, epoch_length=length.epoch)) for one in ours]
    except Exception:  # any error of a schedule's code; the runner builds it again
        return {}
    if not built:
        return {}
    by_epoch = all(schedule.by_epoch for schedule in built)
    course = []
    optimizer.step()  # otherwise mmengine warns
    for step in range(1, (length.epochs or 1 if by_epoch else length.steps) + 1):
        course.append([group['lr'] for group in optimizer.param_groups])
        for schedule in built:
            if by_epoch or not schedule.by_epoch or not step % length.epoch:
                schedule.step()
    return dict(zip(names, np.array(course).T))


def _default_end(schedule: Mapping[str, Any], length: Length) -> int:
    """Return the end that mmengine's runner gives a schedule without one."""
    return (length.epochs or 1) if schedule.get('by_epoch', True) else length.steps


def _end(one: Mapping[str, Any], kind: str, name: str, total: int, unit: str) -> _End:
    begin, end = one.get('begin', 0), one['end']
    period = one.get('T_max')
    if period is not None and begin + period <= end:
        return _End(name, 'T_max', period, total - begin, begin + period, total, unit)
    later = kind in POLYNOMIALS and unit == 'epochs' and not one.get('convert_to_iter_based')
    return _End(name, 'end', end, total + later, end, total, unit)


def _end_doubts(ends: Sequence[_End], course: Mapping[str, np.ndarray],
                length: Length) -> Iterator[str]:
    """Yield a warning if the learning rate is zero too early, or does not come down."""
    at_zero = {name: int((rate <= 1e-9 * rate.max()).sum()) for name, rate in course.items()}
    steps = len(next(iter(course.values()), ()))
    by_epoch = steps == length.epochs and steps != length.steps
    least = 1 if by_epoch else max(min(length.epoch, steps // 20), 2)
    groups = [name for name, number in at_zero.items() if number >= least]
    last = max(ends, key=lambda one: one.end / one.total, default=None)
    again = last and last.key == 'T_max' and any(
        rate[-1] > rate.min() + RISES * rate.max() for rate in course.values())
    if groups:
        early = min((one for one in ends if one.value < one.right),
                    key=lambda one: one.end / one.total, default=None)
        whose = '' if len(groups) == len(at_zero) else f' of {", ".join(groups)}'
        yield (f'{_told(early) if early else "param_scheduler: "}'
               f'the learning rate{whose} is 0 in {max(at_zero.values())} of {steps} '
               f'{"epochs" if by_epoch else "iterations"}'
               f'{f"; {early.key}={early.right} goes with it" if early else ""}')
    elif last and last.end > last.total + 1:
        yield (f'{_told(last)}the learning rate will not have come down; {last.key}={last.right} '
               'goes with it')
    elif last and last.end < last.total - (not again):
        then = 'rises again' if again else 'stays at its least'
        yield (f'{_told(last)}for the rest the learning rate {then}; {last.key}={last.right} goes '
               'with it')


def _told(one: _End) -> str:
    return (f'{one.name} ends after {"ever" if one.end >= INF else one.end} {one.unit}, the '
            f'training after {one.total}: ')


def _rises(schedule: Mapping[str, Any]) -> bool:
    """Return whether a LinearLR or ConstantLR starts below the full learning rate."""
    start = schedule.get('start_factor', schedule.get('factor', 1 / 3))
    return start < schedule.get('end_factor', 1.0)
