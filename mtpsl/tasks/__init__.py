"""The dense tasks: what each one is. Names and order follow the paper's tables."""

from collections.abc import Mapping

from mtpsl.registry import TASKS

from .base import Task
from .boundary import Boundary
from .categorical import CategoricalTask
from .depth import Depth
from .normal import Normal
from .parsing import Parsing
from .saliency import Saliency
from .semseg import Semseg

__all__ = ['Boundary', 'CategoricalTask', 'Depth', 'Normal', 'Parsing', 'Saliency', 'Semseg',
           'Task', 'build_tasks']


def build_tasks(tasks: Mapping[str, dict | Task]) -> dict[str, Task]:
    """Build the tasks of a config and give each its name.

    Args:
        tasks: task name -> config (``dict(type='Semseg', ...)``) or a task, in display order.

    Returns:
        Task name -> task, in the same order.

    Raises:
        ValueError: no task given, or a name that cannot be part of a module's path.
        TypeError: ``tasks`` is no mapping.
    """
    if not isinstance(tasks, Mapping):
        raise TypeError("tasks must be a dict of task name -> dict(type='Semseg', ...), got "
                        f'{type(tasks).__name__}')
    if not tasks:
        raise ValueError('tasks must name at least one task, got none')
    built = {}
    for name, task in tasks.items():
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f'a task name must be a plain identifier, got {name!r}')
        built[name] = task if isinstance(task, Task) else TASKS.build(dict(task))
        built[name].name = name
    return built
