"""One order of the tasks inside of a model, whatever the order of a config's dict.

The order decides which channels of a concatenation are whose, the position of a parameter in the
optimiser, and which random numbers a weight starts from. A config's dict does not: a run's dumped
config has its keys sorted. Weights of a model with its tasks in another order, as versions up to
1.0 made them, are put into this one when they are loaded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mtpsl.tasks import Task

T = TypeVar('T')
# As the published code has them: its weights, and those of the configs here, stay as they are.
FIRST = ('semseg', 'parsing', 'saliency', 'depth', 'normal', 'boundary')


def in_order(tasks: Mapping[str, T]) -> dict[str, T]:
    """The tasks of the paper's tables as there, then those of one's own by name."""
    rank = {name: number for number, name in enumerate(FIRST)}
    return dict(sorted(tasks.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def owners(model: nn.Module, tasks: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Name of a parameter or buffer -> (path of the ``ModuleDict`` or ``ParameterDict`` of all
    tasks that it lies in, task), for those that one task owns.
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
    """How weights of another order of the tasks become those of the model.

    Attributes:
        names: parameters' names in the model's order -> in the other one's.
        take: of a weight the axis, and for each of its places there where it was.
    """

    names: Callable[[Sequence[str]], list[str]]
    take: dict[str, tuple[int, Tensor]]

    def apply(self, name: str, value: Tensor) -> Tensor:
        """A weight, or what an optimiser keeps of one, in the model's order."""
        if name not in self.take or not value.ndim:
            return value
        axis, index = self.take[name]
        return value.index_select(axis, index.to(value.device))


def rearrangement(model: nn.Module, tasks: Sequence[str],
                  order: Sequence[str]) -> Rearrangement | None:
    """From weights with the tasks in ``order`` to the model's ``tasks``; None where alike."""
    if list(order) == list(tasks):
        return None
    then, take = layouts(model, order), {}
    for name, (axis, labels) in layouts(model, tasks).items():
        place = {label: number for number, label in enumerate(then[name][1])}
        take[name] = axis, torch.tensor([place[label] for label in labels])
    owner = owners(model, tasks)

    def names(parameters: Sequence[str]) -> list[str]:
        first: dict[str, int] = {}  # of the dict that a parameter lies in
        places = []
        for number, name in enumerate(parameters):
            path, task = owner.get(name, (name, order[0]))
            places.append((first.setdefault(path, number), order.index(task), number))
        return [parameters[number] for *_, number in sorted(places)]
    return Rearrangement(names, take)


def layouts(model: nn.Module, order: Sequence[str]) -> dict[str, tuple[int, list]]:
    """Weights whose channels belong to tasks: name -> axis, and whose each place along it is.

    A module with such weights tells them by a method ``channel_owners(order)``.
    """
    return {f'{path}.{name}': found for path, module in model.named_modules()
            if hasattr(module, 'channel_owners')
            for name, found in module.channel_owners(order).items()}


def order_of(weights: Mapping[str, object], model: nn.Module, tasks: Sequence[str],
             told: Sequence[str] | None = None) -> list[str]:
    """The order of the tasks that weights were made with.

    Args:
        weights: by name, without a prefix.
        model: the model that they are for.
        tasks: its tasks in its order.
        told: the order, where the checkpoint tells it.

    Returns:
        The tasks in that order; the model's own order if it makes no difference, or if the weights
        are of other tasks, which is for others to refuse.

    Raises:
        ValueError: it matters and cannot be known, since the weights were sorted by name.
    """
    if told is None:
        owner = owners(model, tasks)
        told = list(dict.fromkeys(owner[key][1] for key in weights if key in owner))
        if (list(weights) == sorted(weights) and list(tasks) != sorted(tasks)
                and set(told) == set(tasks) and layouts(model, tasks)):
            raise ValueError(
                'the weights are sorted by name and nothing tells the order of the tasks of their '
                f'model, on which {", ".join(layouts(model, tasks))} depends; take the '
                'checkpoint as the training wrote it')
    return list(told) if set(told) == set(tasks) else list(tasks)


class OrderedTasks(BaseModel):
    """Weights of a model whose parts hold one module per task, in whatever order they come.

    Attributes:
        tasks: task name -> task, in the model's order.
    """

    tasks: Mapping[str, Task]

    def rearrangement(self, weights: Mapping[str, Tensor],
                      told: Sequence[str] | None = None) -> Rearrangement | None:
        """What brings weights of another order of the tasks into the model's; None: nothing to do.

        ``told`` is that order where it is known, see :mod:`mtpsl.models.task_order`.
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

    def parts(self) -> dict[str, str]:
        """Name of a parameter -> the part of the model that learns or does not, as a whole.

        What belongs to one task is apart from what belongs to others, in each place of the model.
        """
        own = {name: f'{path.rpartition(".")[0]}.{task}'
               for name, (path, task) in self._owner.items()}
        return {name: own.get(name, name.partition('.')[0])
                for name, _ in self.named_parameters()}
