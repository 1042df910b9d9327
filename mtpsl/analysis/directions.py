"""Which figures of a result file stand for their tasks, and whether more of them is better."""

from collections.abc import Mapping

from mtpsl.registry import TASKS
from mtpsl.structures.outputs import final_metric
from mtpsl.tasks import Task

# Of a metrics.json: <task>/<primary metric> -> whether higher is better. None in older files.
DIRECTIONS = 'higher_is_better'


def metric_directions() -> dict[str, bool]:
    """Metric -> whether higher is better, of the primary_metrics of all registered task classes.

    Raises:
        ValueError: two classes have a primary metric of one name and disagree on its direction.
    """
    owners: dict[str, type[Task]] = {}
    for task in TASKS.module_dict.values():
        owner = owners.setdefault(task.primary_metric, task)
        if owner.higher_is_better != task.higher_is_better:
            raise ValueError(f'{owner.__name__} and {task.__name__} disagree on whether a higher '
                             f'{task.primary_metric} is better; give their primary metrics '
                             'different names')
    return {primary_metric: task.higher_is_better for primary_metric, task in owners.items()}


def directions_of(tasks: Mapping[str, Task]) -> dict[str, bool]:
    """The entry ``higher_is_better`` of a file of figures of these tasks."""
    return {f'{name}/{task.primary_metric}': task.higher_is_better for name, task in tasks.items()}


def read_directions(content: Mapping, place: str) -> dict[str, bool] | None:
    """The entry ``higher_is_better`` of a result file; None if it has none.

    Raises:
        ValueError: it is no object of true and false.
    """
    named = content.get(DIRECTIONS)
    if named is not None and not (isinstance(named, dict) and all(
            isinstance(value, bool) for value in named.values())):
        raise ValueError(f'{place}: {DIRECTIONS!r} must be an object of <task>/<metric> -> true or '
                         f'false, got {named!r:.60}')
    return named


def primary_figures(metrics: Mapping, named: Mapping[str, bool] | None) -> dict[str, bool]:
    """The figures that are primary metrics of final predictions -> whether higher is better.

    Args:
        metrics: ``<task>/<metric>`` or ``<set>/<task>/<metric>`` -> figure.
        named: those that the file names, see :func:`read_directions`; None: those of all
            registered task classes.
    """
    registered = metric_directions() if named is None else {}
    found = {}
    for key in metrics:
        known = registered.get(final_metric(key) or '') if named is None else (
            named.get('/'.join(key.split('/')[-2:])) if final_metric(key) else None)
        if known is not None:
            found[key] = known
    return found


def left_out(metrics: Mapping, found: Mapping[str, bool], place: str) -> str:
    """A line on the tasks of which no figure is known to be the primary one; '' if there is none.

    Args:
        metrics: as of :func:`primary_figures`.
        found: its result.
        place: of the figures.
    """
    kept = {key.rpartition('/')[0] for key in found}
    others = [key for key, value in metrics.items()
              if final_metric(key) and '/IoU.' not in key and value is not None
              and key.rpartition('/')[0] not in kept]
    tasks = dict.fromkeys(key.split('/')[-2] for key in others)
    return others and (
        f'{place}: the figures of {", ".join(tasks)}, such as {others[0]}, are left out: they are '
        f'of no registered task class, and the file does not say by {DIRECTIONS!r} which are the '
        'primary ones; tools/test.py writes it') or ''
