"""The figures that checkpoints, schedules and an early end watch."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.datasets.joint import JointDataset
from mtpsl.engine.hooks.checkpoint_hook import known_direction
from mtpsl.engine.ranks import bare_model
from mtpsl.evaluation import MultiTaskMetric
from mtpsl.evaluation.score_names import tiny_scores
from mtpsl.structures.outputs import METRIC_PREFIXES


def monitor_doubts(runner: Runner) -> Iterable[str]:
    """Check the figures by which checkpoints, schedules and an early end are decided.

    There are no doubts, only errors.

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
        model = bare_model(runner)
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
    return ()


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
