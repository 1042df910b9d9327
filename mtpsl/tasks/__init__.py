"""The dense prediction tasks, in the order of the paper's tables."""

import importlib
import pkgutil
from collections.abc import Mapping

from mmengine.structures import PixelData
from torch import nn

from mtpsl.registry import TASKS
from mtpsl.structures.outputs import name_clash

from .base import Task

__all__ = ['Task', 'build_tasks']

# Import every module of this package, so that a new file registers its task.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')

# Task names become attributes of ``ModuleDict`` and ``PixelData``: refuse names already in use.
_TAKEN = set(dir(nn.ModuleDict)) | set(dir(PixelData()))


def build_tasks(tasks: Mapping[str, dict | Task]) -> dict[str, Task]:
    """Build the tasks of a config and set their names.

    Args:
        tasks: task name -> config (``dict(type='Semseg', ...)``) or a task, in display order.

    Returns:
        Task name -> task, in the same order.

    Raises:
        ValueError: there is no task, or a name is not usable as a module name, or is that of
            another loss or figure.
        TypeError: ``tasks`` is not a mapping.

    Example:
        >>> import torch
        >>> tasks = build_tasks({'depth': dict(type='Depth', loss_weight=2.0)})
        >>> depth = tasks['depth']
        >>> depth.channels, depth.primary_metric, depth.higher_is_better
        (1, 'absErr', False)
        >>> label = torch.tensor([[[[0.0, 2.0], [4.0, 1.0]]]])  # metres; 0 is unknown
        >>> depth.valid(label).sum().item()
        3
        >>> depth.loss(torch.full((1, 1, 2, 2), 3.0), label)  # errors 1, 1 and 2
        tensor([1.3333])
    """
    if not isinstance(tasks, Mapping):
        raise TypeError("tasks must be a dict of task name -> dict(type='Semseg', ...), got "
                        f'{type(tasks).__name__}')
    if not tasks:
        raise ValueError('tasks must name at least one task, got none')
    built = {}
    for name, task in tasks.items():
        if not (isinstance(name, str) and name.isidentifier() and name not in _TAKEN):
            raise ValueError('a task name must be a plain identifier that is not already an '
                             f'attribute of modules or maps, got {name!r}')
        if told := name_clash(name):
            raise ValueError(f'a task cannot be named {name!r}: {told}')
        if not isinstance(task, (Mapping, Task)):
            raise TypeError(f"the task {name!r} must be a dict(type='Semseg', ...), got {task!r}; "
                            f'tasks.{name}=None at the top of a config leaves it out')
        built[name] = task if isinstance(task, Task) else TASKS.build(dict(task))
        if built[name].name not in ('', name):
            raise ValueError(f'one task cannot have two names, {built[name].name!r} and {name!r}')
        built[name].name = name
    return built
