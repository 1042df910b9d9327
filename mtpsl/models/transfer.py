"""Initialise a model with the matching weights of another one, and report the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from logging import WARNING

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from .task_order import layouts, order_of, owners, rearrangement


class Transfer:
    """The weights of a checkpoint that match a model, by name and shape.

    Weights of one task go to the task of the same name. Weights whose channels belong to several
    tasks, such as those of the condition, are used only if all these tasks are the same.

    Args:
        path: a checkpoint, in any form that mmengine's loader accepts.
        model: the model.
        tasks: its tasks in its order.

    Attributes:
        taken: the matching weights, by their names in the model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, has weights that are not finite, or none that match.
    """

    def __init__(self, path: str, model: nn.Module, tasks: Sequence[str]) -> None:
        content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
        weights = content.get('state_dict', content)
        told = getattr(weights, '_metadata', {}).get('', {}).get('tasks')
        found = {key.removeprefix('module.'): value for key, value in weights.items()
                 if isinstance(value, Tensor)}
        own = model.state_dict()
        self.path, self.total = path, len(own)
        self._dicts = {f'{path}.' for path, _ in owners(model, tasks).values()}
        fit = {name: found[name] for name, value in own.items()
               if name in found and found[name].shape == value.shape}
        shared = list(layouts(model, tasks))
        self.foreign: list[str] = []
        if shared and not self._same_tasks(found, tasks):
            self.foreign = [name for name in shared if fit.pop(name, None) is not None]
        elif shared:
            moved = rearrangement(model, tasks, order_of(found, model, tasks, told))
            fit = {name: moved.apply(name, value) if moved else value
                   for name, value in fit.items()}
        self.taken = fit
        self.missing = [name for name in own if name not in found]
        self.shapes = [name for name in own if name in found
                       and found[name].shape != own[name].shape]
        self.unused = [name for name in found if name not in own]
        if not fit:
            raise ValueError(f'{path}: none of its weights fits the model')

    def covers(self, part: nn.Module, name: str) -> bool:
        """Return whether all weights of a part of the model, at path ``name``, are taken."""
        return all(f'{name}.{key}' in self.taken for key in part.state_dict())

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Load the weights into the model, and log what was left out as a warning."""
        own = model.state_dict()
        for name, value in self.taken.items():
            own[name].copy_(value)
        print_log(self.report(), 'current', WARNING)

    def report(self) -> str:
        """Describe what was taken and what was not, on one line."""
        parts = [f'{title}: {self._collapse(names)}' for title, names in (
            ('not in the file', self.missing), ('of another shape there', self.shapes),
            ('for other tasks there', self.foreign)) if names]
        left = f'; left as they are initialised: {"; ".join(parts)}' if parts else ''
        unused = f'; of the file not used: {self._collapse(self.unused)}' if self.unused else ''
        return (f'{self.path}: {len(self.taken)} of the {self.total} weights of the model are '
                f'taken{left}{unused}')

    def _same_tasks(self, weights: Mapping[str, Tensor], tasks: Sequence[str]) -> bool:
        """Return whether the weights are of a model with the same tasks."""
        return all({key.removeprefix(path).partition('.')[0] for key in weights
                    if key.startswith(path)} in (set(tasks), set()) for path in self._dicts)

    def _collapse(self, names: Iterable[str]) -> str:
        """Count weights by their place in the model; those of a task are counted together."""
        def place(name: str) -> str:
            path = next((path for path in self._dicts if name.startswith(path)), '')
            if path:
                return path + name.removeprefix(path).partition('.')[0]
            return '.'.join(name.split('.')[:-1][:3]) or name
        return ', '.join(f'{count} of {name}' for name, count in Counter(map(place, names)).items())
