"""One order of the tasks inside of a model, whatever the order of a config's dict.

The order decides which channels of a concatenation are whose, the position of a parameter in the
optimiser, and which random numbers a weight starts from. A config's dict does not: a run's dumped
config has its keys sorted. Weights of a model with its tasks in another order, as versions up to
1.0 made them, are put into this one when they are loaded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar('T')
# As the published code has them: its weights, and those of the configs here, stay as they are.
FIRST = ('semseg', 'parsing', 'saliency', 'depth', 'normal', 'boundary')


def in_order(tasks: Mapping[str, T]) -> dict[str, T]:
    """The tasks of the paper's tables as there, then those of one's own by name."""
    rank = {name: number for number, name in enumerate(FIRST)}
    return dict(sorted(tasks.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def owners(model: nn.Module, tasks: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Name of a parameter or buffer -> (path of the ``ModuleDict`` of all tasks that it lies in,
    task), for those that one task owns.
    """
    names, found = set(tasks), {}
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleDict) and set(module) == names:
            for task, part in module.items():
                found.update({f'{path}.{task}.{name}': (path, task)
                              for name, _ in (*part.named_parameters(), *part.named_buffers())})
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
