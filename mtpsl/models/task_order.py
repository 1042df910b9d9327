"""A fixed order of the tasks inside a model, independent of the order of a config's dict.

The order determines the channels of a concatenation, the position of a parameter in the optimiser,
and the random numbers of initial weights. The order of a config's dict is not preserved: dumped
configs have sorted keys. Weights in another order, as written by versions up to 1.0, are reordered
when they are loaded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mtpsl.tasks import Task

T = TypeVar('T')
# The order of the published code, on which existing weights depend.
FIRST = ('semseg', 'parsing', 'saliency', 'depth', 'normal', 'boundary')


def in_order(tasks: Mapping[str, T]) -> dict[str, T]:
    """Sort tasks: those of the paper's tables in their order, then others by name."""
    rank = {name: number for number, name in enumerate(FIRST)}
    return dict(sorted(tasks.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def owners(model: nn.Module, tasks: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Find the parameters and buffers that one task owns.

    Returns name -> (path of the ``ModuleDict`` or ``ParameterDict`` of all tasks, task).
    """
    names, found = set(tasks), {}
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleDict) and set(module) == names:
            for task, part in module.items():
                found.update({f'{path}.{task}.{name}': (path, task)
                              for name, _ in (*part.named_parameters(), *part.named_buffers())})
        elif isinstance(module, nn.ParameterDict) and set(module) == names:
            found.update({f'{path}.{task}': (path, task) for task in module})
    return found


class Rearrangement(NamedTuple):
    """How to convert weights in another order of the tasks to the model's order.

    Attributes:
        names: parameter names in the model's order -> in the other order.
        take: weight name -> axis, and the source index of each position along it.
    """

    names: Callable[[Sequence[str]], list[str]]
    take: dict[str, tuple[int, Tensor]]

    def apply(self, name: str, value: Tensor) -> Tensor:
        """Reorder a weight, or an optimiser's state of one, to the model's order."""
        if name not in self.take or not value.ndim:
            return value
        axis, index = self.take[name]
        return value.index_select(axis, index.to(value.device))


def rearrangement(model: nn.Module, tasks: Sequence[str],
                  order: Sequence[str]) -> Rearrangement | None:
    """Convert weights with the tasks in ``order`` to the order ``tasks``; None if they agree."""
    if list(order) == list(tasks):
        return None
    then, take = layouts(model, order), {}
    for name, (axis, labels) in layouts(model, tasks).items():
        place = {label: number for number, label in enumerate(then[name][1])}
        take[name] = axis, torch.tensor([place[label] for label in labels])
    owner = owners(model, tasks)

    def names(parameters: Sequence[str]) -> list[str]:
        first: dict[str, int] = {}  # first position of each task dict
        places = []
        for number, name in enumerate(parameters):
            path, task = owner.get(name, (name, order[0]))
            places.append((first.setdefault(path, number), order.index(task), number))
        return [parameters[number] for *_, number in sorted(places)]
    return Rearrangement(names, take)


def layouts(model: nn.Module, order: Sequence[str]) -> dict[str, tuple[int, list]]:
    """Find weights whose channels belong to tasks: name -> axis, and owner of each position.

    Modules with such weights have a method ``channel_owners(order)``.
    """
    return {f'{path}.{name}': found for path, module in model.named_modules()
            if hasattr(module, 'channel_owners')
            for name, found in module.channel_owners(order).items()}


def order_of(weights: Mapping[str, object], model: nn.Module, tasks: Sequence[str],
             told: Sequence[str] | None = None) -> list[str]:
    """Find the order of the tasks in which weights were written.

    Args:
        weights: name, without a prefix -> weight.
        model: the model that loads them.
        tasks: its tasks in its order.
        told: the order, if the checkpoint has it.

    Returns:
        The tasks in that order; the model's order if the order does not matter, or if the weights
        are for other tasks (checked elsewhere).

    Raises:
        ValueError: the order matters but is unknown, since the weights are sorted by name.
    """
    if told is None:
        owner = owners(model, tasks)
        told = list(dict.fromkeys(owner[key][1] for key in weights if key in owner))
        if (list(weights) == sorted(weights) and list(tasks) != sorted(tasks)
                and set(told) == set(tasks) and layouts(model, tasks)):
            raise ValueError(
                'the weights are sorted by name and nothing tells the order of the tasks of their '
                f'model, on which {", ".join(layouts(model, tasks))} depends; take the '
                'checkpoint as the training wrote it, or the .safetensors file that '
                'tools/model_converters/publish.py makes of it')
    return list(told) if set(told) == set(tasks) else list(tasks)


class OrderedTasks(BaseModel):
    """Base class of models with one module per task; loads weights in any order of the tasks.

    Attributes:
        tasks: task name -> task, in the model's order.
    """

    tasks: Mapping[str, Task]

    def rearrangement(self, weights: Mapping[str, Tensor],
                      told: Sequence[str] | None = None) -> Rearrangement | None:
        """Return the conversion of weights to the model's order of tasks; None if not needed.

        ``told`` is their order if known, see :mod:`mtpsl.models.task_order`.
        """
        tasks = list(self.tasks)
        return rearrangement(self, tasks, order_of(weights, self, tasks, told))

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['tasks'] = list(self.tasks)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict,
                              *arguments: object) -> None:
        own = {key.removeprefix(prefix): value for key, value in state_dict.items()
               if key.startswith(prefix)}
        moved = self.rearrangement(own, local_metadata.get('tasks'))
        if moved:
            state_dict.update({prefix + key: moved.apply(key, own[key])
                               for key in moved.take if key in own})
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *arguments)

    @cached_property
    def _owner(self) -> dict[str, tuple[str, str]]:
        return owners(self, self.tasks)

    def tasks_of_weights(self) -> dict[str, str]:
        """Return parameter or buffer name -> task, of those that one task owns."""
        return {name: task for name, (_, task) in self._owner.items()}

    def parts(self) -> dict[str, str]:
        """Return parameter name -> part of the model that gets gradients as a whole, or none.

        In each module, the parameters of each task are a part of their own.
        """
        own = {name: f'{path.rpartition(".")[0]}.{task}'
               for name, (path, task) in self._owner.items()}
        return {name: own.get(name, name.partition('.')[0])
                for name, _ in self.named_parameters()}
