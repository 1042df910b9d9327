"""Results as people read them: a table of the primary metrics."""

import math
from collections.abc import Mapping

from prettytable import PrettyTable, TableStyle

from mtpsl.structures.outputs import METRIC_PREFIXES
from mtpsl.tasks import Task

ARROWS = {True: '↑', False: '↓'}  # by "higher is better"


def primary_metric_table(metrics: Mapping[str, float], tasks: Mapping[str, Task]) -> str:
    """:func:`primary_metric_rows` as a Markdown table: one column a task."""
    return markdown_table(['prediction'] + [
        f'{name} {task.primary_metric} {ARROWS[task.higher_is_better]}'
        for name, task in tasks.items()
    ] + [f'delta_m {ARROWS[True]}'], primary_metric_rows(metrics, tasks))


def primary_metric_rows(metrics: Mapping[str, float], tasks: Mapping[str, Task]) -> list[list[str]]:
    """Rows for the initial and the final predictions: title, figures by task, delta_m.

    Args:
        metrics: ``<task>/<metric>``, ``initial/<task>/<metric>`` and maybe ``delta_m``; or these
            of several named sets, ``<set>/<task>/<metric>``, whose rows begin with the set, and
            ``delta_m`` of all.
        tasks: task name -> task.
    """
    rows = []
    sets = by_set(metrics, tasks)
    for name, own in sets.items():
        for title, prefix in (('initial', 'initial/'), ('final', '')):
            row = [own.get(f'{prefix}{task}/{one.primary_metric}') for task, one in tasks.items()]
            gain = own.get(f'{prefix}delta_m', math.nan)
            if any(value is not None for value in row) or not (math.isnan(gain) or name):
                known = '' if len(sets) == 1 else f'{name or "all sets"} '
                rows.append([f'{known}{title}', *map(figure, row),
                             '-' if math.isnan(gain) else signed(gain)])
    return rows


def by_set(metrics: Mapping[str, float], tasks: Mapping[str, Task]) -> dict[str, dict[str, float]]:
    """Figures by set name, without it; '', which comes last, holds those of no set."""
    sets: dict[str, dict[str, float]] = {}
    rest: dict[str, float] = {}
    for key, value in metrics.items():
        name, _, own = key.partition('/')
        if own and name not in tasks and f'{name}/' not in METRIC_PREFIXES.values():
            sets.setdefault(name, {})[own] = value
        else:
            rest[key] = value
    return sets | {'': rest}


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Aligned Markdown: the first column to the left, figures to the right."""
    table = PrettyTable(header, align='r')
    table.set_style(TableStyle.MARKDOWN)
    table.align[header[0]] = 'l'
    table.add_rows(rows)
    return table.get_string()


def decimals(value: float) -> int:
    """Two, as the paper prints; four below 1: metres of error are that small."""
    return 4 if abs(value) < 1 else 2


def figure(value: float | None) -> str:
    """A metric as it is shown, '-' where there is none or nothing was measured."""
    return '-' if value is None or math.isnan(value) else f'{value:.{decimals(value)}f}'


def signed(gain: float) -> str:
    """Delta_m as it is shown."""
    return f'{round(gain, 2) + 0.0:+.2f}'  # adding zero turns -0.00 into +0.00
