"""Refuses impossible values of a config before anything is built."""

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import reduce
from math import inf
from numbers import Real
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from mtpsl.registry import MODELS, OPTIMIZERS, class_of

# Whole numbers and the least that each may be. Without a look now some end a run hours later, or
# let it do nothing.
LEAST = {'train_cfg.max_epochs': 1, 'train_cfg.max_iters': 1, 'train_cfg.val_interval': 1,
         'train_cfg.val_begin': 0, 'randomness.seed': 0, 'auto_scale_lr.base_batch_size': 1,
         'optim_wrapper.accumulative_counts': 1,
         **{f'{split}_dataloader.{name}': least for split in ('train', 'val', 'test')
            for name, least in (('batch_size', 1), ('num_workers', 0), ('prefetch_factor', 1),
                                ('num_batch_per_epoch', 1))}}
RATES = ('optim_wrapper.optimizer.lr', 'optim_wrapper.optimizer.weight_decay')  # finite, at least 0
CLIPPING: dict[str, Callable] = dict(norm=torch.nn.utils.clip_grad_norm_,
                                     value=torch.nn.utils.clip_grad_value_)
# mmseg's constructors by the layers of a backbone -> what its class must have in its name.
OF_LAYERS = dict.fromkeys(('LearningRateDecayOptimizerConstructor',
                           'LayerDecayOptimizerConstructor'), ('ConvNeXt', 'BEiT', 'MAE'))
# Options of mmengine's own constructor of parameter groups.
FACTORS = {'norm_decay_mult', 'bias_lr_mult', 'bias_decay_mult', 'dwconv_decay_mult',
           'flat_decay_mult', 'dcn_offset_lr_mult'}
PARAMWISE = FACTORS | {'custom_keys', 'bypass_duplicate'}
OF_PARAMETERS = {'lr_mult', 'decay_mult'}


def plain_numbers(value: Any) -> Any:
    """Turn NumPy's numbers and arrays in parts of a config into Python's, which can be dumped.

    Dicts and lists are changed in place.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, dict):
        for key, part in dict.items(value):  # without importing what a config names
            if (number := plain_numbers(part)) is not part:
                value[key] = number
    elif isinstance(value, list):
        value[:] = map(plain_numbers, value)
    elif type(value) is tuple and any(isinstance(one, (np.generic, np.ndarray)) for one in value):
        return tuple(map(plain_numbers, value))
    return value


def check_values(cfg: Config) -> None:
    """Check numbers and options whose range no signature tells; turn whole floats (1e2) into ints.

    Raises:
        KeyError: an option that nothing reads, or an unknown task to leave out.
        ValueError: an impossible value, or one with which a part would do nothing.
    """
    for key, least in LEAST.items():
        value = value_of(cfg, key)
        if value is not None and not (isinstance(value, (float, Real)) and float(value) >= least
                                      and value % 1 == 0):
            raise ValueError(f'{key} must be an integer of at least {least}, got {value!r}')
        if isinstance(value, float):  # 1e2
            part, _, name = key.rpartition('.')
            value_of(cfg, part)[name] = int(value)
    for key in RATES:
        _check_number(key, value_of(cfg, key))
    _check_clipping(value_of(cfg, 'optim_wrapper.clip_grad'))
    if 'constructor' not in (cfg.get('optim_wrapper') or {}):
        _check_paramwise(value_of(cfg, 'optim_wrapper.paramwise_cfg'), cfg)
    _check_least_rates(cfg)
    for split in ('train', 'val', 'test'):
        _check_loader(split, cfg.get(f'{split}_dataloader'), cfg)
    _check_frozen(value_of(cfg, 'model.backbone'))
    _check_fused(cfg)
    _check_constructor(cfg)


def check_left_out(name: str, tasks: Mapping, present: Collection[str], given: bool) -> None:
    """Raise KeyError if a task that is set to None does not exist, for instance is misspelt.

    Args:
        name: the task that is None.
        tasks: all tasks by name.
        present: names of the tasks of the file.
        given: whether the command line sets it.
    """
    others = [other for other, task in tasks.items() if task is not None]
    near = difflib.get_close_matches(name, others, 1, cutoff=0.7)
    if name not in present and (given or near):
        raise KeyError(f'tasks.{name}=None: there is no task {name!r} to leave out, only '
                       f'{", ".join(others)}')


def check_set_left_out(key: str, value: object, cfg: Config) -> None:
    """Raise KeyError where the command line leaves out a named set that there is not.

    Args:
        key: of the option, dotted.
        value: its value.
        cfg: the config without the options.
    """
    parent, _, name = key.rpartition('.')
    sets = value_of(cfg, parent) if parent.endswith('.datasets') else None
    if value is None and isinstance(sets, Mapping) and name not in sets:
        raise KeyError(no_such_set(key, sets))


def no_such_set(key: str, sets: Iterable[str]) -> str:
    """What is told where a dotted key leaves out a named set that is none of ``sets``."""
    return (f'{key}=None: there is no set {key.rpartition(".")[2]!r} to leave out, only '
            f'{", ".join(sets)}')


def value_of(cfg: Config | Mapping, key: str) -> Any:
    """Return the value at a dotted key, in which lists have numbers; None if there is none."""
    def step(part: Any, name: str) -> Any:
        if isinstance(part, Mapping):
            return part.get(name)
        is_place = isinstance(part, (list, tuple)) and name.isdigit() and int(name) < len(part)
        return part[int(name)] if is_place else None

    return reduce(step, key.split('.'), dict(cfg.items()))


def keys_of(part: Any, place: str = '') -> Iterator[str]:
    """Yield the dotted keys of all nested values."""
    items = part.items() if isinstance(part, (Mapping, Config)) else (
        enumerate(part) if isinstance(part, (list, tuple)) else ())
    for key, value in items:
        yield f'{place}{key}'
        yield from keys_of(value, f'{place}{key}.')


def _check_number(key: str, value: Any, above: bool = False) -> None:
    """Raise ValueError unless a number is finite and at least 0, or above 0; skip None."""
    good = isinstance(value, (float, Real)) and not isinstance(value, bool)
    if value is not None and not (good and 0 <= float(value) < inf and (value or not above)):
        raise ValueError(f'{key} must be a number {"above" if above else "of at least"} 0, got '
                         f'{value!r}')


def _check_clipping(clip: Any) -> None:
    if not isinstance(clip, Mapping):
        return
    key, kind = 'optim_wrapper.clip_grad', clip.get('type', 'norm')
    if kind not in CLIPPING:
        raise ValueError(f"{key}.type must be 'norm' or 'value', got {kind!r}")
    least = 'max_norm' if kind == 'norm' else 'clip_value'
    known = {*inspect.signature(CLIPPING[kind]).parameters, 'type'} - {'parameters'}
    for name in clip:
        if name not in known:
            raise KeyError(f'{key} has no entry {name!r}; it has '
                           f'{", ".join(sorted(known))} with type={kind!r}; those of a base stay '
                           'unless it says _delete_=True')
    if clip.get(least) is None:
        raise ValueError(f'{key} has no {least}; optim_wrapper.clip_grad=None does not clip')
    _check_number(f'{key}.{least}', clip[least], above=True)


def _check_paramwise(options: Any, cfg: Config) -> None:
    if not isinstance(options, Mapping):
        return
    key = 'optim_wrapper.paramwise_cfg'
    for name, value in options.items():
        if name not in PARAMWISE:
            raise KeyError(f'{key} has no entry {name!r}; it has {", ".join(sorted(PARAMWISE))} '
                           '(groups by name: constructor=GroupedOptimWrapperConstructor)')
        if name in FACTORS:
            _check_number(f'{key}.{name}', value)
    custom = options.get('custom_keys') or {}
    known = OF_PARAMETERS | _options_of(value_of(cfg, 'optim_wrapper.optimizer.type'))
    for part, own in custom.items() if isinstance(custom, Mapping) else ():
        if not isinstance(own, Mapping) or not own:
            raise ValueError(f'{key}.custom_keys.{part} must be a dict such as '
                             f'dict(lr_mult=0.1), got {own!r}')
        for name, value in own.items():
            if name not in known:
                raise KeyError(f'{key}.custom_keys.{part} has no entry {name!r}; it has '
                               f'{", ".join(sorted(known))}')
            if name in OF_PARAMETERS:
                _check_number(f'{key}.custom_keys.{part}.{name}', value)


def _options_of(kind: Any) -> set[str]:
    cls = class_of(kind, OPTIMIZERS)
    return set(inspect.signature(cls).parameters) - {'params'} if callable(cls) else set()


def _schedules(cfg: Config) -> Iterator[tuple[str, Mapping]]:
    listed = cfg.get('param_scheduler') or []
    for number, one in enumerate(listed if isinstance(listed, (list, tuple)) else [listed]):
        if isinstance(one, Mapping):
            yield f'param_scheduler.{number}', one


def _check_least_rates(cfg: Config) -> None:
    """Raise if a decaying schedule would end above the learning rate it starts with."""
    groups = value_of(cfg, 'optim_wrapper.paramwise_cfg')
    groups = [*groups.values()] if isinstance(groups, Mapping) else []
    rates = [group.get('lr') for group in groups if isinstance(group, Mapping)]
    rates.append(value_of(cfg, 'optim_wrapper.optimizer.lr'))
    largest = max((rate for rate in rates if isinstance(rate, (float, Real))), default=None)
    for key, schedule in _schedules(cfg):
        _check_number(f'{key}.eta_min', schedule.get('eta_min'))
        least, ratio = schedule.get('eta_min'), schedule.get('eta_min_ratio')
        _check_number(f'{key}.eta_min_ratio', ratio)
        if largest is not None and least and least > largest and str(
                schedule.get('type')).endswith('LR'):
            raise ValueError(f'{key}.eta_min must not be above the learning rate {largest}, got '
                             f'{least}')
        if ratio and ratio > 1:
            raise ValueError(f'{key}.eta_min_ratio must be in [0, 1], got {ratio}')


def _check_loader(split: str, loader: Any, cfg: Config) -> None:
    if not isinstance(loader, Mapping):
        return
    key = f'{split}_dataloader'
    if loader.get('shuffle') is not None:
        raise ValueError(f'{key}.shuffle is not read: {key}.sampler.shuffle={loader["shuffle"]} '
                         'says it')
    kind = str((loader.get('sampler') or {}).get('type')) if isinstance(
        loader.get('sampler'), Mapping) else ''
    if split == 'train':
        by_epoch = 'max_epochs' in (cfg.get('train_cfg') or {})
        if by_epoch and kind.endswith('InfiniteSampler'):
            raise ValueError(f'{key}.sampler.type={kind} never ends, so that there would be no end '
                             'of an epoch: train_cfg by iterations (IterBasedTrainLoop) goes with '
                             'it, or SeededSampler')
        return
    if loader.get('drop_last') and loader.get('batch_size', 1) > 1:
        raise ValueError(f'{key}.drop_last must be False: with it some images would not be scored')
    if loader.get('num_batch_per_epoch') is not None:
        raise ValueError(f'{key}.num_batch_per_epoch must be None: the other images would not be '
                         f'scored; {key}.dataset.max_images takes the first ones, and is logged')
    if kind.endswith('InfiniteSampler'):
        raise ValueError(f'{key}.sampler.type={kind} never ends: SeededSampler does')
    if kind.endswith('JointSampler'):
        raise ValueError(f'{key}.sampler.type={kind} draws sets by shares, so that some images '
                         'would not be scored: SeededSampler with shuffle=False takes each once')


def _check_fused(cfg: Config) -> None:
    """Of other parts torch.fx says only that it cannot trace them."""
    fused = cfg.get('efficient_conv_bn_eval') or []
    fused = [fused] if isinstance(fused, str) else fused
    if not isinstance(fused, (list, tuple)) or any(str(part).split('.')[0] != 'backbone'
                                                   for part in fused):
        raise ValueError("efficient_conv_bn_eval must be ['backbone'], the part of a model that "
                         f'torch.fx can trace, got {fused!r}')


def _check_constructor(cfg: Config) -> None:
    """mmseg's constructor of layer-wise rates raises NotImplementedError without a word."""
    name = str(value_of(cfg, 'optim_wrapper.constructor')).rpartition('.')[2]
    backbone = value_of(cfg, 'model.backbone.type')
    if name in OF_LAYERS and backbone is not None and not any(
            kind in str(getattr(backbone, '__name__', backbone)) for kind in OF_LAYERS[name]):
        raise ValueError(f'optim_wrapper.constructor={name} knows the layers of '
                         f'{", ".join(OF_LAYERS[name])} alone, model.backbone.type is {backbone}; '
                         'GroupedOptimWrapperConstructor sets rates by the names of parts')


def _check_frozen(backbone: Any) -> None:
    if not isinstance(backbone, Mapping) or backbone.get('frozen_stages') is None:
        return
    kind = backbone.get('type')
    cls = class_of(kind, MODELS)
    parameters = inspect.signature(cls).parameters if callable(cls) else {}
    if 'num_stages' not in parameters:
        return
    stages = backbone.get('num_stages', parameters['num_stages'].default)
    frozen = backbone['frozen_stages']
    if isinstance(stages, int) and not (isinstance(frozen, int) and -1 <= frozen <= stages):
        raise ValueError(f'model.backbone.frozen_stages must be an integer from -1 (none) to '
                         f'{stages}, got {frozen!r}')
