"""Weights that a training would leave about as they were before it, or move without a label."""

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mtpsl.registry import OPTIM_WRAPPERS, class_of

from .optim.optim_wrapper import FiniteOptimWrapper
from .schedules import length_of

DEFAULT_MOMENTUM = 0.0002  # of mmengine's averages
MOST = 0.5  # of averaged weights that may be those of the first step


def standing_weights(runner: Runner) -> Iterator[str]:
    """What is told of them: a backbone of random numbers, averages that have hardly begun."""
    backbone: Any = runner.cfg.model.get('backbone') or {}
    given = [runner._load_from, runner.cfg.model.get('init_cfg'), backbone.get('init_cfg')]
    if not any(given):
        for held in _held(runner):
            yield (f'{held} of random weights: no load_from, model.init_cfg or '
                   'model.backbone.init_cfg says which to start from')
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            yield from _hardly_averaged(hook, length_of(runner).steps)


def moving_weights(runner: Runner) -> str:
    """What is told of an optim wrapper that moves weights of tasks without a label."""
    kind = class_of(runner.cfg.optim_wrapper.get('type', 'OptimWrapper'), OPTIM_WRAPPERS)
    if not isinstance(kind, type) or issubclass(kind, FiniteOptimWrapper):
        return ''
    return (f'optim_wrapper.type={kind.__name__}: weight decay and momentum change the weights of '
            'a task in steps without a label of it, and steps that are not finite are made; '
            'FiniteOptimWrapper, or AutocastOptimWrapper for bfloat16, leave out both')


def _held(runner: Runner) -> Iterator[str]:
    """Settings by which weights of the backbone do not learn."""
    frozen = (runner.cfg.model.get('backbone') or {}).get('frozen_stages') or -1
    if frozen >= 0:
        yield f'model.backbone.frozen_stages={frozen} keeps stages'
    groups = runner.cfg.optim_wrapper.get('paramwise_cfg') or {}
    model = getattr(runner.model, 'module', runner.model)
    names = [name for name, _ in model.named_parameters() if name.startswith('backbone.')]
    for place, parts in (('.custom_keys', groups.get('custom_keys') or {}), ('', groups)):
        for key, options in parts.items():
            still = [option for option in ('lr_mult', 'lr')
                     if isinstance(options, dict) and options.get(option) == 0]
            if still and any(key in name for name in names):
                yield (f'optim_wrapper.paramwise_cfg{place}.{key}.{still[0]}=0 keeps parts of the '
                       'backbone')


def _hardly_averaged(hook: EMAHook, steps: int) -> Iterator[str]:
    config = hook.ema_cfg
    if config.get('type') != 'ExponentialMovingAverage':
        return
    momentum = config.get('momentum', DEFAULT_MOMENTUM)
    updates = max(steps - hook.begin_iter, 0) // config.get('interval', 1)
    if hook.begin_epoch or not updates or (kept := (1 - momentum) ** updates) <= MOST:
        return
    told = (f'momentum={10 / updates:.2g} forgets them' if updates > 100 else
            'the hook is for longer trainings')
    yield (f'EMAHook with momentum={momentum:g} averages over about {1 / momentum:.0f} steps, the '
           f'training has {updates}: {100 * kept:.0f} % of the weights that are validated and '
           f'saved will be those of its start; {told}')
