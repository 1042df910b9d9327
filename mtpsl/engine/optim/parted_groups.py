"""Lets an optimiser skip parts of the model that have no gradient."""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class PartedGroups:
    """Finds the parts of a model that an update must skip, since all their gradients are zero.

    A task without labels in the batch has zero gradients rather than none, since every process
    must take part in the gradients' all-reduce. After it gradients are equal on all processes, so
    zero means that no process has a label. This is decided on the device.

    Args:
        optimizer: the optimiser whose groups are split by part.
        model: its method ``parts()`` maps names of parameters to parts; without this method nothing
            is skipped.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module) -> None:
        self.optimizer = optimizer
        tell = getattr(model, 'parts', dict)
        parts: dict[str, str] = tell()
        part_of = {p: parts[name] for name, p in model.named_parameters() if name in parts}
        # Group number (loading a state replaces the dicts), whether it is a part, its parameters.
        self._members: list[tuple[int, bool, list[Tensor]]] = []
        for number, group in enumerate(optimizer.param_groups):
            members = defaultdict(list)
            for parameter in group['params']:
                members[part_of.get(parameter)].append(parameter)
            self._members += [(number, part is not None, own) for part, own in members.items()]
        self._still: list[Tensor | None] = []

    def look(self) -> None:
        """Find the parts whose gradients are all zero now."""
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
        """Return the groups part by part; each sets the optimiser's ``found_inf`` on iteration.

        Args:
            found_inf: whether to skip the whole step, a boolean scalar on the device.
        """
        everything, groups = found_inf.float(), self.optimizer.param_groups
        return _Telling(self.optimizer, [
            (groups[number] | dict(params=own),
             everything if still is None else (still | found_inf).float())
            for (number, _, own), still in zip(self._members, self._still)])

    def drop_still(self, found_inf: Tensor) -> bool:
        """Set zero gradients to None, for an optimiser that does not read ``found_inf``.

        Returns:
            Whether to skip the whole step. The host waits for the device.
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
    """Parameter groups that set the optimiser's ``found_inf`` when it iterates over them."""

    def __init__(self, optimizer: Optimizer, parts: list[tuple[dict, Tensor]]) -> None:
        super().__init__(group for group, _ in parts)
        self._optimizer = optimizer
        self._flags = [flag for _, flag in parts]

    def __iter__(self) -> Iterator[dict]:
        for group, flag in zip(super().__iter__(), self._flags):
            self._optimizer.found_inf = flag  # type: ignore[attr-defined]
            yield group
