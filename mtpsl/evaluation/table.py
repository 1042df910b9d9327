"""Results as people read them: a table of the headline metrics."""

from collections.abc import Mapping

from prettytable import PrettyTable, TableStyle

from mtpsl.tasks import Task


def headline_table(metrics: Mapping[str, float], tasks: Mapping[str, Task]) -> str:
    """A Markdown table: one column a task, rows for initial and final predictions.

    Args:
        metrics: ``<task>/<metric>``, ``initial/<task>/<metric>`` and maybe ``delta_m``.
        tasks: task name -> task.
    """
    table = PrettyTable()
    table.set_style(TableStyle.MARKDOWN)
    arrows = {True: '↑', False: '↓'}
    table.field_names = ['prediction'] + [
        f'{name} {task.headline} {arrows[task.higher_is_better]}' for name, task in tasks.items()
    ] + ['delta_m ↑']
    for title, prefix in (('initial', 'initial/'), ('final', '')):
        row = [metrics.get(f'{prefix}{name}/{task.headline}') for name, task in tasks.items()]
        if any(value is not None for value in row):
            gain = metrics.get(f'{prefix}delta_m')
            table.add_row([title, *map(_figure, row), '-' if gain is None else f'{gain:+.2f}'])
    table.align = 'r'
    table.align['prediction'] = 'l'
    return table.get_string()


def _figure(value: float | None) -> str:
    """Two decimals as the paper prints, four below 1: metres of error are that small."""
    if value is None:
        return '-'
    return f'{value:.4f}' if abs(value) < 1 else f'{value:.2f}'
