"""An optimiser's groups by the parts of the model, of which an update may leave some alone."""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class PartedGroups:
    """Which parts of a model an update is to leave alone: those that no gradient reaches.

    A task that nothing of a batch is labelled for has gradients of zero rather than none, since
    every process has to take part in their exchange. After it they are alike on all processes, so
    that zero means: no label on any of them. That is found out on the device.

    Args:
        optimizer: its groups are parted.
        model: its method ``parts()``, parameter's name -> part, tells the parts; without it there
            are none and nothing is left alone.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module) -> None:
        self.optimizer = optimizer
        tell = getattr(model, 'parts', dict)
        parts: dict[str, str] = tell()
        part_of = {p: parts[name] for name, p in model.named_parameters() if name in parts}
        # Number of the group (its dict is another once a state is loaded), whether a part, its own.
        self._members: list[tuple[int, bool, list[Tensor]]] = []
        for number, group in enumerate(optimizer.param_groups):
            members = defaultdict(list)
            for parameter in group['params']:
                members[part_of.get(parameter)].append(parameter)
            self._members += [(number, part is not None, own) for part, own in members.items()]
        self._still: list[Tensor | None] = []

    def look(self) -> None:
        """Find the parts whose gradients are zero now."""
        found = [[p.grad for p in own if p.grad is not None] if parted else []
                 for _, parted, own in self._members]
        gradients = [gradient for part in found for gradient in part]
        if not gradients:
            self._still = [None] * len(found)
            return
        largest = torch.stack([norm.float() for norm in _largest(gradients)])
        self._still = [part.amax() == 0 if len(part) else None
                       for part in largest.split([len(part) for part in found])]

    def telling(self, found_inf: Tensor) -> '_Telling':
        """The groups, part by part; each tells the optimiser ``found_inf`` when its turn comes.

        Args:
            found_inf: whether the whole step is to be left out, a boolean scalar on the device.
        """
        everything, groups = found_inf.float(), self.optimizer.param_groups
        return _Telling(self.optimizer, [
            (groups[number] | dict(params=own),
             everything if still is None else (still | found_inf).float())
            for (number, _, own), still in zip(self._members, self._still)])

    def drop_still(self, found_inf: Tensor) -> bool:
        """Take the gradients of zero away, for an optimiser that cannot be told on the device.

        Returns:
            Whether the whole step is to be left out. The host waits for the device.
        """
        known = [still for still in self._still if still is not None]
        left_out, *answers = torch.stack([found_inf, *known]).tolist()
        remaining = iter(answers)
        for (_, _, own), still in zip(self._members, self._still):
            if still is not None and next(remaining):
                for parameter in own:
                    parameter.grad = None
        return left_out


def _largest(gradients: list[Tensor]) -> list[Tensor]:
    """The largest absolute value of each, NaN where there is one."""
    if gradients[0].device.type != 'cpu':
        return list(torch._foreach_norm(gradients, torch.inf))
    # A CPU takes ten times as long for that norm as for the extremes, if it meets the values in
    # the order in which they lie.
    flat = [g if g.ndim != 4 or g.is_contiguous() else g.permute(0, 2, 3, 1) for g in gradients]
    return [torch.maximum(high, -low) for low, high in map(torch.aminmax, flat)]


class _Telling(list):
    """Parameter groups that set the optimiser's ``found_inf`` as it comes to each of them."""

    def __init__(self, optimizer: Optimizer, parts: list[tuple[dict, Tensor]]) -> None:
        super().__init__(group for group, _ in parts)
        self._optimizer = optimizer
        self._flags = [flag for _, flag in parts]

    def __iter__(self) -> Iterator[dict]:
        for group, flag in zip(super().__iter__(), self._flags):
            self._optimizer.found_inf = flag  # type: ignore[attr-defined]
            yield group
