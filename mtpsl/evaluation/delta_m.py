"""Delta_m: the mean relative gain of a multi-task model over single-task ones."""

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log

from mtpsl.tasks import Task
from mtpsl.tasks.binary import BinaryTask
from mtpsl.tasks.categorical import CategoricalTask


def delta_m(scores: Mapping[str, float], single_task: Mapping[str, float],
            tasks: Mapping[str, Task]) -> float:
    """Delta_m of a model's tasks, see :func:`mean_gain`.

    Args:
        scores: the primary metric M_t of each task.
        single_task: the same of single-task models, S_t.
        tasks: task name -> task, which knows its metric's direction.

    Raises:
        ValueError: a task without a single-task figure, or one that is zero.

    Example:
        >>> from mtpsl.tasks import build_tasks
        >>> tasks = build_tasks(dict(semseg=dict(type='Semseg'), normal=dict(type='Normal')))
        >>> delta_m(dict(semseg=55.0, normal=18.0), dict(semseg=50.0, normal=20.0), tasks)
        10.0
    """
    _require(single_task, tasks)
    return mean_gain(scores, single_task,
                     {name: task.higher_is_better for name, task in tasks.items()})


def mean_gain(scores: Mapping[str, float], baseline: Mapping[str, float],
              higher_is_better: Mapping[str, bool]) -> float:
    """Mean of the signed relative differences to the baseline, in percent.

    Delta_m = 100 / T sum_t (-1)^[lower is better for t] (M_t - S_t) / S_t (Maninis et al. 2019).

    Args:
        scores: M_t of each figure t.
        baseline: S_t, none of them zero.
        higher_is_better: the T figures that enter, and the direction of each.
    """
    gains = [(1 if better else -1) * (scores[key] - baseline[key]) / baseline[key]
             for key, better in higher_is_better.items()]
    return 100 * math.fsum(gains) / len(gains)  # in any order the same


def single_task_figures(figures: Mapping[str, float | str],
                        tasks: Mapping[str, Task]) -> dict[str, float]:
    """The figures of a config: numbers, or paths of result files (``metrics.json``) to read.

    Args:
        figures: task name -> the figure, or a file that holds ``<task>/<primary metric>``.
        tasks: task name -> task.

    Raises:
        ValueError: an unknown task, a file without the task's metric, or a task without a figure.
        FileNotFoundError: no such file.
    """
    unknown = sorted(set(figures) - set(tasks))
    if unknown:
        raise ValueError(f'single_task names {unknown}, the tasks are {list(tasks)}; make '
                         'single_task of val_evaluator and test_evaluator match, or None')
    read = {name: _read(figure, f'{name}/{tasks[name].primary_metric}')
            if isinstance(figure, str) else float(figure) for name, figure in figures.items()}
    _require(read, tasks)  # now, not after the evaluation
    fractions = [f'{name}={read[name]:g}' for name, task in tasks.items()
                 if isinstance(task, (CategoricalTask, BinaryTask)) and read[name] <= 1]
    if fractions:
        print_log(f'single_task has {", ".join(fractions)}: figures are in percent, as testing '
                  'gives them; are these fractions?', 'current', logging.WARNING)
    return read


def figures_by_set(figures: Mapping[str, float | str | Mapping[str, float | str]],
                   tasks: Mapping[str, Task]) -> dict[str, dict[str, float]]:
    """:func:`single_task_figures` by set name; the one set of figures without sets is ''.

    Args:
        figures: those of all tasks; or set name -> those of the tasks of the set.
        tasks: task name -> task.

    Raises:
        ValueError: figures both of sets and without; and as :func:`single_task_figures`.
    """
    plain = {name: part for name, part in figures.items() if not isinstance(part, Mapping)}
    sets = {name: part for name, part in figures.items() if isinstance(part, Mapping)}
    if plain and sets:
        raise ValueError('single_task must hold figures, or a dict of figures for each set, got '
                         f'both: {dict(figures)}')
    if plain:
        return {'': single_task_figures(plain, tasks)}
    return {name: single_task_figures(part, {task: tasks[task] for task in part if task in tasks})
            for name, part in sets.items()}


def _require(figures: Mapping[str, float], tasks: Mapping[str, Task]) -> None:
    missing = [name for name in tasks if not figures.get(name)]
    if missing:
        raise ValueError(f'single_task must hold a non-zero figure for each of {list(tasks)}, '
                         f'missing: {missing}')
    wrong = {name: figures[name] for name in tasks if not 0 < figures[name] < math.inf}
    if wrong:
        raise ValueError(f'single_task must hold figures above 0, got {wrong}')


def _read(path: str, key: str) -> float:
    metrics = json.loads(Path(path).read_text())
    if metrics.get(key) is None:
        raise ValueError(f'{path} holds no figure for {key!r}, only for '
                         f'{sorted(k for k, v in metrics.items() if v is not None)}')
    return float(metrics[key])
