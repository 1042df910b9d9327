"""Compares the config of a checkpoint's run with the current one."""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import cast

from mmengine.config import Config

from mtpsl.registry import TASKS
from mtpsl.tasks.stored import READING_OPTIONS

from .content import RUN_KEY, read_content

STAGES = {'in_channels', 'in_stride'}  # of a neck, which are the backbone's, said or not
# Entries of a config that decide the numbers of a run, and entries below them that do not.
FINGERPRINT_KEYS = ('model', 'tasks', 'optim_wrapper', 'param_scheduler', 'randomness',
                    'train_dataloader')
IGNORED_KEYS = {'init_cfg', 'data_root', 'num_workers', 'persistent_workers',
                'prefetch_factor', 'pin_memory', 'collate_fn', 'timeout',
                'multiprocessing_context', '_scope_', 'fused', 'foreach', 'capturable', 'with_cp',
                'on_error', *STAGES}
# Entries of a model's config that do not change its predictions.
NOT_PREDICTING = {'loss_weight', 'initial_loss_weight', 'class_weight', 'positive_weight', 'values',
                  'ignore', 'colour_coded', 'palette', 'png_unit', 'npy_unit', 'farthest',
                  'max_dist', 'max_display', 'absent_iou', 'double_sigmoid', 'zero_sum_unknown',
                  'divide_when_zoomed', 'aux_normal', 'outputs', 'num_samples', 'test_seed',
                  'test_noise_on_cpu', 'channels_last', 'shortcut', 'regularizer', 'teacher',
                  'pseudo', 'feature_weight', 'bin_loss_weight', 'label_balance', 'train_tokens',
                  'dropout', 'frozen_stages', 'norm_eval', *STAGES}
# Those that decide what a model's features and predictions mean.
PREDICTING_PARTS = ('tasks', 'backbone', 'neck', 'decoder', 'diffusion')
IMAGE_VALUES = ('mean', 'std', 'bgr_to_rgb')  # of a preprocessor: what the network sees of a pixel
# Entries of a validation that do not change its figures.
NOT_SCORING = {'batch_size', 'workers', 'keep_statistics', 'collect_device', 'per_class'}
SHOWN = 10


def fingerprint(cfg: Config, world_size: int) -> dict:
    """Return the entries of a config that decide the numbers of a run, in JSON's types.

    Leaves out folders, worker processes, initial weights, hooks, the length of the training,
    validation and testing.
    """
    content: dict = {key: cfg[key] for key in FINGERPRINT_KEYS if cfg.get(key) is not None}
    if (cfg.get('auto_scale_lr') or {}).get('enable'):
        content['auto_scale_lr'] = cfg.auto_scale_lr
    return cast(dict, plain(content)) | dict(processes=world_size)


def scoring(cfg: Config) -> dict:
    """Return the entries of a config that decide the figures of a validation, beside the model."""
    def kept(part: object) -> object:
        if isinstance(part, Mapping):
            return {key: kept(value) for key, value in part.items() if key not in NOT_SCORING}
        return [kept(one) for one in part] if isinstance(part, (list, tuple)) else part

    return {key: plain(kept(cfg.get(key))) for key in ('val_dataloader', 'val_evaluator',
                                                       'val_cfg')}


def check_same_config(path: str, run: Mapping, expected: Mapping) -> None:
    """Raise unless a checkpoint's run has the same config.

    Args:
        path: the checkpoint, for the message.
        run: its :func:`fingerprint`.
        expected: that of the config.

    Raises:
        ValueError: they differ; the message lists the entries.
    """
    found = differences(plain(run), expected)  # earlier checkpoints have more entries
    if found:
        raise ValueError(
            f'{path} is of a run of another config, and --resume would go on with a mixture of '
            f'both: {found}. Resume with the config of that run, '
            f'or start a new one from its weights: --cfg-options load_from={path} without '
            '--resume')


def check_meaning(path: str, cfg: Config) -> None:
    """Raise if weights fit a config, but their predictions would be misread.

    Renamed classes and tasks of the user's own type are no error: :func:`other_settings` reports
    them.

    Args:
        path: a checkpoint of a run, or a file that ``publish.py`` made of one.
        cfg: a config with the model to test or predict with.

    Raises:
        ValueError: a task was trained with another type or another order of classes.
    """
    before, now = ((model or {}).get('tasks') or {} for model in (_model_of(path), cfg.model))
    for name in (name for name in now if name in before):
        was, task = before[name], plain(now[name])
        if not (isinstance(was, Mapping) and isinstance(task, Mapping)):
            continue
        types = was.get('type'), now[name].get('type')
        if types[0] != types[1] and _is_ours(types[0]) and _is_ours(types[1]):
            raise ValueError(f'{path} was trained with tasks.{name}.type={types[0]}, the config '
                             f'has {types[1]}: its weights predict the former')
        before_names, names = (list(one.get('class_names') or ()) for one in (was, task))
        if before_names != names and sorted(before_names) == sorted(names):
            place = next(k for k, pair in enumerate(zip(before_names, names)) if len({*pair}) > 1)
            raise ValueError(
                f'{path} was trained with tasks.{name}.class_names in another order: class '
                f'{place} of its weights is {before_names[place]!r}, in the config '
                f'{names[place]!r}; take the order of the training, and say by values of '
                'the task which numbers the labels have for them')


def _is_ours(kind: object) -> bool:
    cls = TASKS.get(kind) if isinstance(kind, str) else None
    return cls is not None and cls.__module__.startswith('mtpsl.')


def _model_of(path: str) -> dict:
    """Return the model's config of a checkpoint's training; {} if the file does not say."""
    meta = read_content(path).get('meta') or {}
    model = json.loads(meta[RUN_KEY]).get('model') if RUN_KEY in meta else {}
    return cast(dict, plain(model or {}))


def other_reading(path: str, cfg: Config) -> str:
    """Describe where a config reads labels differently from a checkpoint's training.

    Arguments and result: see :func:`other_settings`. With other data such a difference is right.
    """
    before = _model_of(path)
    found = before and differences(*(
        {name: {key: task[key] for key in sorted(READING_OPTIONS & set(task))}
         for name, task in (model.get('tasks') or {}).items() if isinstance(task, Mapping)}
        for model in (before, cast(dict, plain(cfg.model)))))
    return (f'the config reads labels otherwise than the training of {path} did, which is right '
            f'only if the data differ (trained with -> config): {found}') if found else ''


def other_settings(path: str, cfg: Config, partly: bool = False) -> str:
    """Describe where a config differs from a checkpoint's training although the weights fit.

    Args:
        path: a checkpoint of a run, or a file that ``publish.py`` made of one.
        cfg: a config with the model that the weights are meant for.
        partly: parts and tasks that one of both lacks, and tasks that have more classes in one, do
            not count, since only weights that fit are taken, as by ``init_cfg``.

    Returns:
        A sentence for a warning; '' if nothing differs or the file does not say.
    """
    found = _first(changed_settings(path, cfg, partly) or [])
    return found and (f'{path} was trained with other settings of the model than the config has, '
                      f'which changes what its weights mean (trained with -> config): {found}')


def changed_settings(path: str, cfg: Config, partly: bool = False) -> list[str] | None:
    """Return the settings of :func:`other_settings` alone, each as ``key before -> now``.

    None where the file does not say what it was trained with.
    """
    before, now = _model_of(path), cast(dict, plain(cfg.model))
    if not before:
        return None
    if partly:
        tasks = [model.get('tasks') or {} for model in (before, now)]
        both = [name for name in tasks[0] if len({_classes(one.get(name)) for one in tasks}) == 1]
        parts = (before.keys() & now.keys()) - {'type'}
        before, now = ({key: model[key] for key in model if key in parts}
                       | dict(tasks={name: one[name] for name in both if name in one})
                       for model, one in zip((before, now), tasks))
    return list(_differences(_predicting(before), _predicting(now)))


def training_digests(path: str) -> dict[str, str]:
    """Return a digest of each part of the config of a checkpoint's training, but for its seed.

    ``{}`` where the file does not say.
    """
    meta = read_content(path).get('meta') or {}
    run = json.loads(meta[RUN_KEY]) if RUN_KEY in meta else {}
    return {key: f'{zlib.crc32(json.dumps(part, sort_keys=True).encode()):08x}'
            for key, part in run.items() if key not in ('randomness', 'tasks')}


def _classes(task: object) -> int | None:
    """The number of classes of a task's config, 0 where it lists none; None if there is no task."""
    return len(task.get('class_names') or ()) if isinstance(task, Mapping) else None


def check_teacher(path: str, cfg: Config) -> None:
    """Raise unless a teacher predicts as the config's model does.

    Args:
        path: its checkpoint.
        cfg: a config of its student, whose weights have the same names and shapes.

    Raises:
        ValueError: its tasks, classes, bins or parts are others; the message lists them.
    """
    check_meaning(path, cfg)
    before = _model_of(path)
    models = (before, cast(dict, plain(cfg.model)))
    found = before and differences(*({part: _predicting(model.get(part))
                                      for part in PREDICTING_PARTS} for model in models))
    if found:
        raise ValueError(f'model.teacher: {path} is of another model than the student '
                         f'(teacher -> student): {found}')
    # It sees the student's images, normalised by the student's preprocessor.
    seen = before and differences(*(
        {key: value for key, value in (model.get('data_preprocessor') or {}).items()
         if key in IMAGE_VALUES} for model in models))
    if seen:
        raise ValueError(f'model.teacher: {path} has learned from images of other values than '
                         f'data_preprocessor gives it (teacher -> student): {seen}')


def _predicting(model: object) -> object:
    if isinstance(model, Mapping):
        return {key: _predicting(part) for key, part in model.items() if key not in NOT_PREDICTING}
    return model


def differences(before: object, now: object) -> str:
    """Return the first ``key before -> now`` of entries that differ; '' if none does."""
    return _first(list(_differences(before, now)))


def _first(found: list[str]) -> str:
    more = f'; and {len(found) - SHOWN} more' if len(found) > SHOWN else ''
    return '; '.join(found[:SHOWN]) + more


def plain(value: object) -> object:
    """Return a part of a config in JSON's types, without entries that decide no numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain_tasks(part) if key == 'tasks' else plain(part)
                for key, part in value.items() if key not in IGNORED_KEYS}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return re.sub(r' at 0x[0-9a-f]+', '', repr(value))  # which differs from run to run


def _plain_tasks(tasks: object) -> object:
    """The same without the colours of pictures, and with pairs of classes in one order."""
    content = plain(tasks)
    for options in content.values() if isinstance(content, dict) else ():
        if isinstance(options, dict):
            options.pop('max_display', None)
            pairs = options.get('mirrored')
            if isinstance(pairs, list) and all(
                    isinstance(pair, list) and all(isinstance(name, str) for name in pair)
                    for pair in pairs):
                options['mirrored'] = sorted(map(sorted, pairs))
    return content


def _differences(before: object, now: object, place: str = '') -> Iterator[str]:
    """Yield ``key before -> now`` of each entry that differs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            yield from _differences(before.get(key), now.get(key),
                                    f'{place}.{key}' if place else key)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, parts in enumerate(zip(before, now)):
            yield from _differences(*parts, f'{place}.{number}')
    elif before != now:
        yield f'{place} {_short(before)} -> {_short(now)}'


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
