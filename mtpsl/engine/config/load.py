"""Loading a config file: one place for the tasks, and misspelt keys are errors."""

import difflib
import inspect
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner

import mtpsl.engine.patches  # noqa: F401  (applies them)
from mtpsl.engine.quiet import quieten, silence
from mtpsl.registry import DATASETS, METRICS, MODELS, OPTIMIZERS, VISUALIZERS, class_of

from .dataset_tree import (
    joint_datasets,
    leave_out_sets,
    leaves,
    shorten_written_sets,
    write_out_sets,
)
from .inherited import check_inherited, check_options
from .model_index import find_config
from .overrides import import_error, merge_options
from .schema import check_kinds, check_parts
from .shared import SHARED, check_preprocessor, check_shared, check_written_out, remember
from .values import check_left_out, check_set_left_out, check_values, plain_numbers, value_of
from .variables import bases_of, check_sets_of_file, check_variables, places_of

# Keys that a runner reads from its config beside its own arguments.
RUNNER_KEYS = {name for name in inspect.signature(Runner.__init__).parameters
               if name not in ('self', 'cfg')}
# What older OpenMMLab configs wrote, and what is read instead.
OLD_KEYS = dict(optimizer='optim_wrapper.optimizer', optimizer_config='optim_wrapper',
                lr_config='param_scheduler', data='train_dataloader', evaluation='val_evaluator',
                checkpoint_config='default_hooks.checkpoint', log_config='default_hooks.logger',
                resume_from='--resume', seed='randomness.seed', dist_params='env_cfg.dist_cfg',
                runner='train_cfg', workflow='train_cfg')
# Entries that are read one by one, so that nothing else refuses a misspelt one.
NESTED_KEYS = dict(env_cfg={'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
                   auto_scale_lr={'enable', 'base_batch_size'},
                   randomness={'seed', 'diff_rank_seed', 'deterministic'})
HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler',
                     'checkpoint')
# What torch refuses of a data loader without worker processes.
OF_WORKERS = ('persistent_workers', 'prefetch_factor', 'timeout')
CONFIG_KEYS = RUNNER_KEYS | {'tasks', 'sync_bn', 'model_wrapper_cfg', 'find_unused_parameters',
                             'compile', 'custom_imports', 'activation_checkpointing',
                             'efficient_conv_bn_eval', 'tta_model'}


def load_config(path: str, options: Mapping[str, object] | None = None) -> Config:
    """Read a config, apply overrides, share the tasks, and refuse misspelt keys.

    The top-level ``tasks`` is the one owner of what the tasks are: it reaches the model, the
    datasets, the evaluators and the visualizer wherever they take ``tasks`` and do not say
    theirs, so that overriding it reaches everything. The top-level ``data_preprocessor``, which
    goes with the dataset, becomes the model's, whose own entries win. A task that is None is left
    out. The parts are held against the signatures of what they build (:mod:`.schema`).

    Args:
        path: the config file, or the name of one that ships (:func:`find_config`).
        options: overrides with dotted keys, as ``--cfg-options`` gives them.

    Warns:
        UserWarning: a top-level key that nothing reads, see ``config.variables``; a part of
            another type than in the base that keeps its options, see ``config.inherited``.

    Raises:
        FileNotFoundError: no such config, or no such base of it.
        KeyError: a top-level key that looks like a misspelt runner argument, a variable or an
            option that nothing would read; an unknown type of a part.
        TypeError: a part or an argument of another type, or one that its class does not take.
        ValueError: a file that is no Python or that fails; a value that cannot be, see
            ``config.values``.
    """
    quieten()
    _check_data_folder()
    path = find_config(path)
    read = cache(_read)  # each file once for all
    cfg = read(path)
    for key in options or {}:
        _check_option(key, path)
    for key in cfg:
        _check_spelling(key)
    check_variables(path, cfg, CONFIG_KEYS, read)
    check_inherited(path, cfg, read)
    check_sets_of_file(path, cfg, read)
    check_preprocessor(path, cfg)
    _unshare(cfg, {key.split('.')[0] for key in options or {}}, cfg)
    present = [name for name, task in _tasks_of(cfg).items() if task is not None]
    for key, value in (options or {}).items():
        check_set_left_out(key, value, cfg)
    check_options(cfg, options or {})
    merge_options(cfg, options or {})
    check_values(cfg)
    _check_log_level(cfg)
    check_kinds(cfg)
    for name in (name for name, task in _tasks_of(cfg).items() if task is None):
        check_left_out(name, cfg.tasks, present, any(key.split('.')[0] == 'tasks'
                                                     for key in options or {}))
    _leave_out(cfg)
    for base in bases_of(path, read) if _is_written_out(cfg) else ():
        _unshare(cfg, [key for key in SHARED if base.get(key) != cfg.get(key)], base)
    _check_entries(cfg)
    _share(cfg)
    check_written_out(path, cfg, [component for component, _ in _components(cfg)])
    check_parts(cfg)
    return cfg


def _tasks_of(cfg: Config) -> Mapping:
    tasks = cfg.get('tasks')
    return tasks if isinstance(tasks, Mapping) else {}


def _leave_out(cfg: Config) -> None:
    """Tasks, named sets and hooks that are None; of loaders without worker processes what only
    those have.
    """
    gone = {name for name, task in _tasks_of(cfg).items() if task is None}
    leave_out_sets(cfg, gone)
    if cfg.get('tasks'):
        cfg.tasks = type(cfg.tasks)({n: task for n, task in cfg.tasks.items() if task is not None})
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in HOOKS_OF_MMENGINE:  # which leaves out its own by None
            hooks.pop(name)
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader and not loader.get('num_workers', 0):
            for name in OF_WORKERS:
                loader.pop(name, None)


def _read(path: str) -> Config:
    try:
        # What mmengine replaces in it, one process tells.
        with silence() if os.environ.get('RANK', '0') != '0' else nullcontext():
            cfg = Config.fromfile(path)
        plain_numbers(cfg._cfg_dict)
        return cfg
    except OSError:  # of a base, and it says so
        raise
    except ImportError as error:  # of a module of custom_imports
        raise import_error(f'the config file {path}', error) from error
    except Exception as error:  # a config is a program
        if _is_endless(error):
            raise ValueError(f'the config file {path} cannot be read: its _base_ lead back to one '
                             'of them, or its own code never ends') from error
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ValueError(f'the config file {path} cannot be read: {type(error).__name__}: '
                         f'{text}') from error


def _is_endless(error: BaseException | None) -> bool:
    """Whether recursion was too deep; mmengine's clearing up may fail on that in its turn."""
    while error and not isinstance(error, RecursionError):
        error = error.__context__
    return error is not None


def _check_data_folder() -> None:
    """MTPSL_DATA is put into the text of configs: empty it does not count, quotes would end it."""
    folder = os.environ.get('MTPSL_DATA')
    if folder == '':
        del os.environ['MTPSL_DATA']
    elif folder and (folder[0] == '~' or set(folder) & set('\'"\\\n')):
        raise ValueError('the environment variable MTPSL_DATA must be a path without ~, quotes and '
                         f'backslashes, got {folder!r}')


def require(cfg: Config, *keys: str) -> None:
    """Raise ValueError where a loaded config lacks a top-level key, or has None there."""
    missing = [key for key in keys if not cfg.get(key)]
    if missing:
        raise ValueError(f'the config file {cfg.filename} has no {", ".join(missing)}')


def _share(cfg: Config) -> None:
    """Give the parts what is stated once at the top."""
    if cfg.get('model') and cfg.get('data_preprocessor'):
        own = dict(cfg.model.get('data_preprocessor') or {})
        if own.pop('_delete_', False):
            cfg.pop('data_preprocessor')  # also for who reads the config as a run dumps it
            cfg.model.data_preprocessor = own
        else:
            cfg.model.data_preprocessor = {**cfg.data_preprocessor, **own}
            # One value for both, for who reads the config as a run dumps it.
            cfg.data_preprocessor.update({k: own[k] for k in own if k in cfg.data_preprocessor})
    if 'tasks' in cfg:
        write_out_sets(cfg)
        for component, registry in _components(cfg):
            _share_tasks(component, registry, cfg.tasks)
    remember(cfg, (component for component, _ in _components(cfg)), CONFIG_KEYS)


def check_unchanged(cfg: Config) -> None:
    """Raise ValueError where a loaded config was changed at the top alone, with no effect."""
    for key in cfg:
        _check_spelling(key)
    check_shared(cfg, (component for component, _ in _components(cfg)), CONFIG_KEYS)


def _is_written_out(cfg: Config) -> bool:
    """Return whether parts have what is stated at the top, as those of a dump have."""
    parts = [*(part for part, _ in _components(cfg)), *joint_datasets(cfg)]
    return any(part.get('tasks') for part in parts) or bool(
        (cfg.get('model') or {}).get('data_preprocessor'))


def _unshare(cfg: Config, overridden: Collection[str], before: Mapping) -> None:
    """Undo it in a config that a run has dumped, for what is overridden at the top.

    Args:
        cfg: the config.
        overridden: top-level keys.
        before: has what the parts were given.
    """
    tasks = before.get('tasks')
    if tasks and 'tasks' in cfg and 'tasks' in overridden:
        shorten_written_sets(cfg, tasks)
        for component, _ in _components(cfg):
            if component.get('tasks') == tasks:
                component.pop('tasks')
    own = (cfg.get('model') or {}).get('data_preprocessor')
    if own and 'data_preprocessor' in overridden:
        for key, value in (before.get('data_preprocessor') or {}).items():
            if own.get(key) == value:
                own.pop(key)


def _check_option(key: str, path: str) -> None:
    root = key.split('.')[0]
    if root not in CONFIG_KEYS:
        places = places_of(path, root, CONFIG_KEYS)
        held = f'; its value is in {", ".join(places)}: set them' if places else ''
        raise KeyError(f'--cfg-options {key}: nothing reads a top-level {root!r} once the config '
                       f'is parsed{held or _suggestion(root)}')


def _check_spelling(key: str) -> None:
    """Configs may define variables of their own, but not near-misses of what a runner reads."""
    if key in OLD_KEYS:
        raise KeyError(f'config key {key!r} is of an older format; it is {OLD_KEYS[key]} now')
    if key not in CONFIG_KEYS and _suggestion(key):
        raise KeyError(f'config key {key!r} is not one that a runner reads{_suggestion(key)}')


def _check_entries(cfg: Config) -> None:
    if cfg.get('compile'):  # the whole training step, whose logging cannot be compiled
        raise ValueError("compile must be False; custom_hooks=[dict(type='CompileHook')] compiles "
                         'the parts of the model that gain by it (docs/speed.md)')
    for key, known in NESTED_KEYS.items():
        unknown = sorted(set(cfg.get(key) or {}) - known)
        if unknown:
            raise KeyError(f'{key} has no entry {unknown[0]!r}; it has {sorted(known)}')
    for group in ('tasks', 'default_hooks'):
        for name, part in (cfg.get(group) or {}).items():
            if isinstance(part, Mapping) and 'type' not in part:
                typed = [k for k in cfg[group] if 'type' in (cfg[group][k] or {})]
                raise KeyError(f'{group}.{name} has no type: ' + (
                    f'is the name misspelt? There are {typed}' if typed else
                    f'a child config that assigns {group} adds to that of its _base_, in one file '
                    'the last assignment counts alone'))
    optimizer = value_of(cfg, 'optim_wrapper.optimizer.type')
    if isinstance(optimizer, str) and OPTIMIZERS.get(optimizer) is None:
        raise KeyError(f'optim_wrapper.optimizer.type is {optimizer!r}, which is no optimizer of '
                       'torch.optim or the registry')


def _check_log_level(cfg: Config) -> None:
    if not isinstance(logging.getLevelName(cfg.get('log_level') or 'INFO'), int):
        raise ValueError('log_level must be DEBUG, INFO, WARNING or ERROR, got '
                         f'{cfg.log_level!r}')


def _suggestion(key: str) -> str:
    near = difflib.get_close_matches(key, CONFIG_KEYS, 1, cutoff=0.8)
    return f'; did you mean {near[0]!r}?' if near else ''


def _components(cfg: Config) -> Iterator[tuple[dict, Registry]]:
    """The configs of everything that may ask for the tasks, with their registries."""
    for key, registry in (('model', MODELS), ('visualizer', VISUALIZERS)):
        if cfg.get(key):
            yield cfg[key], registry
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            yield from ((dataset, DATASETS) for dataset in leaves(loader['dataset']))
        yield from ((metric, METRICS) for metric in evaluators(cfg, split))


def evaluators(cfg: Config, split: str) -> Sequence[dict]:
    """The configs of the metrics of a split: 'train', 'val' or 'test'."""
    evaluator: Any = cfg.get(f'{split}_evaluator') or []
    if isinstance(evaluator, dict):
        evaluator = evaluator.get('metrics', [evaluator])
    return [evaluator] if isinstance(evaluator, dict) else evaluator


def _share_tasks(component: dict, registry: Registry, tasks: Mapping[str, dict]) -> None:
    cls = class_of(component.get('type'), registry)
    if cls is not None and 'tasks' in inspect.signature(cls).parameters:
        component.setdefault('tasks', tasks)
