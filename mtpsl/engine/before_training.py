"""What only a built runner and its data can tell of a training, before it begins."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.datasets.doubles import repeated, same_files, told_repeated, told_twice
from mtpsl.datasets.joint import JointDataset
from mtpsl.datasets.walks import leaves_of
from mtpsl.engine.checkpoints.content import (
    CODE_KEY,
    DATA_KEY,
    FILES_KEY,
    TEACHER_KEY,
    read_content,
)
from mtpsl.engine.checkpoints.data_files import code_of, other_file, other_files
from mtpsl.engine.checkpoints.fits import check_checkpoint
from mtpsl.engine.checkpoints.latest import unfinished
from mtpsl.engine.checkpoints.resume import check_teacher, differences
from mtpsl.engine.checkpoints.trained_images import learned_from, other_images
from mtpsl.engine.hooks.checkpoint_hook import known_direction
from mtpsl.evaluation import MultiTaskMetric
from mtpsl.evaluation.score_names import tiny_scores
from mtpsl.structures.outputs import METRIC_PREFIXES

from .batch_trial import check_own_batches
from .batches import check_batches
from .config.precheck import other_colours, other_reading, other_zoom, paths_of
from .hook_doubts import hook_doubts
from .ranks import compare_data, content_of
from .schedules import length_of, schedule_doubts
from .standing_weights import moving_weights, standing_weights


def check_training(runner: Runner) -> None:
    """Check what the runner is to train with; builds the loaders.

    Raises:
        ValueError: nothing would be trained, a part of the config would do nothing, or the
            processes have other images or labels.
    """
    _check_slice(runner)
    compare_data(runner.train_dataloader.dataset, 'training data')
    _check_losses(runner)
    _check_teacher(runner)
    check_batches(runner)
    check_own_batches(runner)
    _check_custom_keys(runner)
    # Which a resumed run must not change.
    kept = ('. --resume keeps the schedule of its checkpoint: another one is for a new run'
            if runner._resume else '')
    for found in (*(told + kept for told in schedule_doubts(
                      runner.cfg.get('param_scheduler'), length_of(runner))),
                  *hook_doubts(runner), *_other_data(runner),
                  *standing_weights(runner), moving_weights(runner), *_first_weights(runner),
                  *custom_key_doubts(runner), *_without_loss(runner),
                  *_used_twice(runner),
                  other_colours(runner.cfg, 'val') or other_colours(runner.cfg, 'test'),
                  other_zoom(runner.cfg, 'val') or other_zoom(runner.cfg, 'test'),
                  other_reading(runner.cfg, 'val') or other_reading(runner.cfg, 'test')):
        if found:
            runner.logger.warning(found)
    for name, task in getattr(getattr(runner.model, 'module', runner.model), 'tasks', {}).items():
        if told := getattr(task, 'exchanged', ''):
            runner.logger.info(f'a mirror image exchanges classes of {name}: {told} (mirrored=() '
                               'of the task: none)')
    _check_monitors(runner)


def _check_losses(runner: Runner) -> None:
    tasks = getattr(getattr(runner.model, 'module', runner.model), 'tasks', {})
    if tasks and all(task.loss_weight == 0 for task in tasks.values()):
        raise ValueError(f'loss_weight is 0 for all tasks, {", ".join(tasks)}: nothing would be '
                         'trained')


def _check_teacher(runner: Runner) -> None:
    """Raise where a model learns from another that is not there, or that is not like it."""
    model = getattr(runner.model, 'module', runner.model)
    if hasattr(model, 'teacher_checkpoint'):
        path = model.teacher_checkpoint()
        try:
            check_checkpoint(path, model)
        except ValueError as error:
            raise ValueError(f'model.teacher: {error}') from error
        check_teacher(path, runner.cfg)
        if told := unfinished(path):
            runner.logger.warning(f'model.teacher: {told}: is stage 1 done?')
        if told := other_images(path, runner.cfg, 'train'):
            runner.logger.warning(f'model.teacher: {told}')


def _first_weights(runner: Runner) -> Iterator[str]:
    """What their training's images have to do with those of now."""
    init = runner.cfg.model.get('init_cfg') or {}
    path = runner._load_from or (isinstance(init, dict) and init.get('checkpoint')) or '://'
    if runner._resume or '://' in path:
        return
    yield other_images(path, runner.cfg, 'train')
    if runner.val_loop is not None:
        yield learned_from(path, runner.val_dataloader.dataset, 'validated')


def _check_slice(runner: Runner) -> None:
    """mmengine's slice of a dataset may be longer than it."""
    dataset = runner.train_dataloader.dataset
    whole = getattr(dataset, '_dataset', dataset)
    if len(dataset) > len(whole):
        number = runner.cfg.train_dataloader.num_batch_per_epoch
        raise ValueError(f'train_dataloader.num_batch_per_epoch={number} takes {len(dataset)} '
                         f'images, there are {len(whole)}')


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


# Options of mmengine's constructor for kinds of weights, which give way to custom_keys.
OF_KINDS = ('norm_decay_mult', 'bias_decay_mult', 'dwconv_decay_mult', 'flat_decay_mult',
            'bias_lr_mult', 'dcn_offset_lr_mult')


def _without_loss(runner: Runner) -> Iterator[str]:
    """Which tasks are not learned since their losses have weight 0."""
    model = getattr(runner.model, 'module', runner.model)
    for name, task in getattr(model, 'tasks', {}).items():
        if task.loss_weight == 0:
            yield (f'tasks.{name}.loss_weight is 0: the task is not learned, but predicted, scored '
                   f'and part of what conditions the others; tasks.{name}=None leaves it out')


def custom_key_doubts(runner: Runner) -> Iterator[str]:
    """Where keys of mmengine's constructor act on more or less than they seem to.

    A key may be in names of weights for being in a task's alone; and other options give way to it.
    """
    wrapper, model = runner.cfg.optim_wrapper, getattr(runner.model, 'module', runner.model)
    groups = wrapper.get('paramwise_cfg') or {}
    keys = groups.get('custom_keys') or {}
    passed = [name for name in OF_KINDS if groups.get(name) is not None]
    without = [key for key, given in keys.items() if 'decay_mult' not in given]
    if 'constructor' not in wrapper and passed and without:
        yield (f'optim_wrapper.paramwise_cfg: {", ".join(passed)} has no effect on weights with '
               f'{", ".join(without)} in their names, by mmengine\'s rule; decay_mult of '
               'custom_keys has')
    for key in keys if 'constructor' not in wrapper else ():
        for task in getattr(model, 'tasks', {}):
            met = [name for name, _ in model.named_parameters()
                   if key in name and key not in name.replace(task, '')]
            if key != task and key in task and met:
                yield (f'optim_wrapper.paramwise_cfg.custom_keys.{key} is also in the name of the '
                       f'task {task}, and so acts on {len(met)} weights such as {met[0]}; a longer '
                       'key is nearer to what is meant')


# ------------------------------------------------------------------ data and figures

def _other_data(runner: Runner) -> Iterator[str]:
    """Whether a resumed run has ended, or had another teacher or other images."""
    if not runner._resume or not runner._load_from:
        return
    meta = read_content(runner._load_from).get('meta') or {}
    length = length_of(runner)
    unit, end = ('epoch', length.epochs) if length.epochs else ('iter', length.steps)
    if meta.get(unit, 0) >= end:
        yield (f'{runner._load_from} has {unit} {meta[unit]}, the training ends at {end}: nothing '
               'is left to train')
    model = getattr(runner.model, 'module', runner.model)
    if TEACHER_KEY in meta and hasattr(model, 'teacher_checkpoint') and (
            other := other_file(json.loads(meta[TEACHER_KEY]), model.teacher_checkpoint())):
        yield (f'model.teacher: {other}, which {runner._load_from} has learned from: it goes on '
               'with another teacher, and is not the run that was not interrupted')
    dataset = runner.train_dataloader.dataset
    if told := FILES_KEY in meta and other_files(json.loads(meta[FILES_KEY]), dataset):
        yield (f'{runner._load_from}: {told}. If their content is another on purpose, no figure '
               'of this run is of one set of labels')
    code = code_of(runner.cfg)
    if edited := [name for name, before in json.loads(meta.get(CODE_KEY, '{}')).items()
                  if code.get(name) != before]:
        yield (f'{runner._load_from} is of a run with other code in {", ".join(edited)} '
               '(custom_imports), which was changed since: the run goes on with what is there now')
    if DATA_KEY not in meta:
        return
    found = differences(json.loads(meta[DATA_KEY]), content_of(dataset))
    if found:
        yield (f'{runner._load_from} is of a run on other training data: {found}. It goes on with '
               'those that are there now, in other batches and perhaps in more or fewer steps an '
               'epoch')


def _check_monitors(runner: Runner) -> None:
    """Check the figures by which checkpoints, schedules and an early end are decided.

    Raises:
        ValueError: there is no validation, it does not give the figure, or the rule would take
            the worst for the best; mmengine tells the first two hours later, the last never.
    """
    for name, key, rule in _monitored(runner):
        loop = runner.train_loop
        end = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else loop.max_iters
        if runner.val_loop is None or loop.val_begin > end:
            raise ValueError(f'{name}={key} needs a validation, and there is none: ' + (
                'the config has no val_dataloader' if runner.val_loop is None else
                f'train_cfg.val_begin is {loop.val_begin}, the training ends at {end}'))
        metrics = runner.val_evaluator.metrics
        if not all(isinstance(metric, MultiTaskMetric) for metric in metrics):
            continue  # others do not tell what they give
        model = getattr(runner.model, 'module', runner.model)
        prefixes = METRIC_PREFIXES.values() if getattr(model, 'num_steps', 0) else ('',)
        sets = {name: list(dataset.tasks_of(name)) for dataset in [runner.val_dataloader.dataset]
                if isinstance(dataset, JointDataset) for name in dataset.sets}
        names = [name for metric in metrics for name in figures(metric, prefixes, sets)]
        scored = [one for metric in metrics for one in metric.scored]
        if key == 'auto' and max(len(sets), len(scored)) > 1:
            raise ValueError(f"{name}='auto' takes the figure that comes first, which depends on "
                             f'the order of the tasks; name one of {", ".join(names)}')
        if key != 'auto' and key not in names:
            raise ValueError(f'{name}={key!r} is no figure of the validation, which gives '
                             f'{", ".join(names)}')
        known = known_direction(key)
        if None not in (rule, known) and rule != known:
            raise ValueError(f'{name}={key!r}: rule={rule!r} would take the worst for the best; of '
                             f'it the {known} is better')


def _monitored(runner: Runner) -> Iterator[tuple[str, str, str | None]]:
    """Of each figure that something watches: the argument, the figure and the rule, if given."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            for key in hook.key_indicators:  # the hook itself sees to the rule
                yield 'default_hooks.checkpoint.save_best', key, None
        elif isinstance(hook, EarlyStoppingHook):
            yield 'monitor of EarlyStoppingHook', hook.monitor, hook.rule
    schedules = runner.cfg.get('param_scheduler') or ()
    for number, one in enumerate([schedules] if isinstance(schedules, dict) else schedules):
        if str(one.get('type')).endswith(('ReduceOnPlateauLR', 'ReduceOnPlateauParamScheduler',
                                          'ReduceOnPlateauMomentum')):
            yield (f'param_scheduler.{number}.monitor', one.get('monitor', 'loss'),
                   one.get('rule', 'less'))


def _used_twice(runner: Runner) -> Iterator[str]:
    """Whether images are trained on twice, or validated on too, as far as it is told quickly."""
    training = paths_of(runner.train_dataloader.dataset)
    # Named sets may share photos on purpose, and each looks at its own.
    for leaf in leaves_of(runner.train_dataloader.dataset) if is_main_process() else ():
        own = paths_of(leaf)
        if again := repeated(own):
            yield f'{leaf.title}: {told_repeated(again, len(own))}'
    if runner.val_loop is None:
        return
    validation = paths_of(runner.val_dataloader.dataset)
    if both := same_files(training, validation):
        yield f'{told_twice(both, len(validation))}: figures of the validation will be too good'


def figures(metric: MultiTaskMetric, prefixes: Iterable[str] = ('',),
            sets: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """The names of what an evaluation gives.

    Args:
        metric: the evaluator's.
        prefixes: of the predictions that are scored.
        sets: the sets of a ``JointDataset`` -> their tasks.
    """
    names = {name: [f'{name}/{key}' for key in tiny_scores(task, metric.per_class)]
             for name, task in metric.scored.items()}
    found: list[str] = []
    single_task = metric.single_task or {}
    for prefix in prefixes:
        for known, tasks in (sets or {'': metric.tasks}).items():
            begin = f'{known}/{prefix}' if known else prefix
            found += [f'{begin}{figure}' for name in tasks for figure in names.get(name, ())]
            if known in single_task and set(single_task[known]) <= set(tasks) & set(names):
                found.append(f'{begin}delta_m')
        if sets and single_task and all(
                set(wanted) <= set(sets.get(known, ())) & set(names)
                for known, wanted in single_task.items()):
            found.append(f'{prefix}delta_m')
    return found
