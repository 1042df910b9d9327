"""What only a built runner can tell of a training, before it begins."""

from collections.abc import Callable, Iterable, Iterator

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mtpsl.datasets.checks.doubles import repeated, same_files, told_repeated, told_twice
from mtpsl.datasets.walks import leaves_of
from mtpsl.engine.config.precheck import other_colours, other_reading, other_zoom, paths_of
from mtpsl.engine.ranks import bare_model, compare_data

from .batch_trial import own_batch_doubts
from .batches import batch_doubts
from .checkpoint_doubts import first_weight_doubts, resume_doubts, teacher_doubts
from .custom_keys import custom_key_doubts
from .hook_doubts import hook_doubts
from .monitors import monitor_doubts
from .schedules import length_of, schedule_doubts
from .standing_weights import moving_weights, standing_weights


def check_training(runner: Runner) -> None:
    """Check what the runner is to train with; builds the loaders.

    Raises:
        ValueError: nothing would be trained, a part of the config would do nothing, or the
            processes have other images or labels.
    """
    for doubts in DOUBTS:
        for told in filter(None, doubts(runner)):
            runner.logger.warning(told)
    for name, task in getattr(bare_model(runner), 'tasks', {}).items():
        if told := getattr(task, 'exchanged', ''):
            runner.logger.info(f'a mirror image exchanges classes of {name}: {told} (mirrored=() '
                               'of the task: none)')


def _data_doubts(runner: Runner) -> Iterable[str]:
    """Raise where there are fewer images than are asked for, or other ones on another process."""
    dataset = runner.train_dataloader.dataset
    whole = getattr(dataset, '_dataset', dataset)  # of mmengine's slice, which may be longer
    if len(dataset) > len(whole):
        number = runner.cfg.train_dataloader.num_batch_per_epoch
        raise ValueError(f'train_dataloader.num_batch_per_epoch={number} takes {len(dataset)} '
                         f'images, there are {len(whole)}')
    compare_data(dataset, 'training data')
    return ()


def _loss_doubts(runner: Runner) -> Iterator[str]:
    """Which tasks are not learned since their losses have weight 0; raise if no task is."""
    tasks = getattr(bare_model(runner), 'tasks', {})
    idle = [name for name, task in tasks.items() if task.loss_weight == 0]
    if idle and len(idle) == len(tasks):
        raise ValueError(f'loss_weight is 0 for all tasks, {", ".join(tasks)}: nothing would be '
                         'trained')
    for name in idle:
        yield (f'tasks.{name}.loss_weight is 0: the task is not learned, but predicted, scored '
               f'and part of what conditions the others; tasks.{name}=None leaves it out')


def _schedule_doubts(runner: Runner) -> Iterator[str]:
    # Which a resumed run must not change.
    kept = ('. --resume keeps the schedule of its checkpoint: another one is for a new run'
            if runner._resume else '')
    for told in schedule_doubts(runner.cfg.get('param_scheduler'), length_of(runner)):
        yield told + kept


def _pipeline_doubts(runner: Runner) -> Iterator[str]:
    """What is told once, of the validation or else of the test."""
    for told_of in (other_colours, other_zoom, other_reading):
        yield told_of(runner.cfg, 'val') or told_of(runner.cfg, 'test')


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


# Each yields what is to be told of a training, '' where there is nothing, and raises ValueError
# where it would be for nothing.
DOUBTS: tuple[Callable[[Runner], Iterable[str]], ...] = (
    _data_doubts, _loss_doubts, teacher_doubts, batch_doubts, own_batch_doubts, custom_key_doubts,
    _schedule_doubts, hook_doubts, resume_doubts, standing_weights, moving_weights,
    first_weight_doubts, _used_twice, _pipeline_doubts, monitor_doubts)
