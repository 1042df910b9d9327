"""The buffers of a model as they were before a step."""

from collections import defaultdict

import torch
from torch import Tensor, nn


class BufferSnapshot:
    """A copy of a model's buffers, such as BatchNorm's statistics, to go back to.

    One flat tensor for each device and type, so that taking it and going back cost a few kernels
    and not some for each of a hundred small tensors.

    Args:
        model: its buffers are copied now.
    """

    def __init__(self, model: nn.Module) -> None:
        groups = defaultdict(list)
        for buffer in model.buffers():
            groups[buffer.device, buffer.dtype].append(buffer)
        self._groups = [(buffers, _flat(buffers)) for buffers in groups.values()]

    def found_inf(self) -> Tensor:
        """Whether a number is not finite now that was: a boolean scalar on the device."""
        found = [(before.isfinite() & ~_flat(buffers).isfinite()).any()
                 for buffers, before in self._groups
                 if before.is_floating_point() or before.is_complex()]
        return torch.stack(found).any() if found else torch.zeros((), dtype=torch.bool)

    @torch.no_grad()
    def restore(self, condition: Tensor) -> None:
        """Go back where the boolean scalar ``condition``, which stays on the device, is true."""
        for buffers, before in self._groups:
            chosen = torch.where(condition, before, _flat(buffers))
            parts = chosen.split([buffer.numel() for buffer in buffers])
            torch._foreach_copy_(buffers, [part.view_as(buffer)
                                           for part, buffer in zip(parts, buffers)])


def _flat(tensors: list[Tensor]) -> Tensor:
    """A copy of all numbers, one after the other."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
