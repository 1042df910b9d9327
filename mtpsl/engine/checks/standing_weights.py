"""Weights that a training would leave about as they were before it, or move without a label."""

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mtpsl.engine.optim.optim_wrapper import FiniteOptimWrapper
from mtpsl.engine.ranks import bare_model
from mtpsl.registry import OPTIM_WRAPPERS, class_of

from .schedules import length_of

DEFAULT_MOMENTUM = 0.0002  # of mmengine's averages
MOST = 0.5  # of averaged weights that may be those of the first step


def standing_weights(runner: Runner) -> Iterator[str]:
    """What is told of them: parts of random numbers that do not learn, averages hardly begun."""
    model: Any = runner.cfg.model
    backbone: Any = model.get('backbone') or {}
    whole = runner._load_from or model.get('init_cfg')
    for part, held in _held(runner):
        if not whole and not (part == 'backbone' and backbone.get('init_cfg')):
            own = ' or model.backbone.init_cfg' * (part == 'backbone')
            yield (f'{held} of random weights: no load_from, model.init_cfg{own} says which to '
                   'start from')
    names = _trained(runner)
    if names and not names - _still(runner):
        yield ('optim_wrapper.paramwise_cfg gives all weights a learning rate of 0: they stay as '
               'they are')
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            yield from _hardly_averaged(hook, length_of(runner).steps)


def moving_weights(runner: Runner) -> Iterator[str]:
    """What is told of an optim wrapper that moves weights of tasks without a label."""
    kind = class_of(runner.cfg.optim_wrapper.get('type', 'OptimWrapper'), OPTIM_WRAPPERS)
    if not isinstance(kind, type) or issubclass(kind, FiniteOptimWrapper):
        return
    yield (f'optim_wrapper.type={kind.__name__}: weight decay and momentum change the weights of '
           'a task in steps without a label of it, and steps that are not finite are made; '
           'FiniteOptimWrapper, or AutocastOptimWrapper for bfloat16, leave out both')


def _held(runner: Runner) -> Iterator[tuple[str, str]]:
    """Parts of the model with the settings by which weights of theirs do not learn."""
    frozen = (runner.cfg.model.get('backbone') or {}).get('frozen_stages') or -1
    if frozen >= 0:
        yield 'backbone', f'model.backbone.frozen_stages={frozen} keeps stages'
    if (runner.cfg.model.get('backbone') or {}).get('norm_eval'):
        yield 'backbone', 'model.backbone.norm_eval=True keeps the statistics of BatchNorm'
    for part in sorted({name.partition('.')[0] for name in _still(runner)}):
        yield part, ('optim_wrapper.paramwise_cfg, with a learning rate of 0, keeps parts of the '
                     f'{part}')


def _trained(runner: Runner) -> set[str]:
    model = bare_model(runner)
    return {name for name, one in model.named_parameters() if one.requires_grad}


def _still(runner: Runner) -> set[str]:
    """Names of the weights whose learning rate ``paramwise_cfg`` sets to 0."""
    groups = runner.cfg.optim_wrapper.get('paramwise_cfg') or {}
    custom = groups.get('custom_keys') or {}
    # As mmengine has it, the longest key that a name holds counts.
    keys = sorted(sorted(custom), key=len, reverse=True)

    def options(name: str) -> dict:
        of_group = [groups[part] for part in name.split('.') if isinstance(groups.get(part), dict)]
        return of_group[-1] if of_group else next(
            (custom[key] for key in keys if key in name), {})
    return {name for name in _trained(runner) if 0 in (
        options(name).get('lr_mult'), options(name).get('lr'))}


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
