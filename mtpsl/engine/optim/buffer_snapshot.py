"""Saves and restores the buffers of a model around a step."""

from collections import defaultdict

import torch
from torch import Tensor, nn


class BufferSnapshot:
    """A copy of a model's buffers, such as BatchNorm's statistics.

    It is one flat tensor per device and type, so that saving and restoring cost a few kernels
    rather than some for each of a hundred small tensors.

    Args:
        model: the model whose buffers are copied.
    """

    def __init__(self, model: nn.Module) -> None:
        groups = defaultdict(list)
        for buffer in model.buffers():
            groups[buffer.device, buffer.dtype].append(buffer)
        self._groups = [(buffers, _flat(buffers)) for buffers in groups.values()]

    def found_inf(self) -> Tensor:
        """Return whether a finite number has become non-finite: a boolean scalar on the device."""
        found = [(before.isfinite() & ~_flat(buffers).isfinite()).any()
                 for buffers, before in self._groups
                 if before.is_floating_point() or before.is_complex()]
        return torch.stack(found).any() if found else torch.zeros((), dtype=torch.bool)

    @torch.no_grad()
    def restore(self, condition: Tensor) -> None:
        """Restore the buffers if ``condition``, a boolean scalar on the device, is true."""
        for buffers, before in self._groups:
            chosen = torch.where(condition, before, _flat(buffers))
            parts = chosen.split([buffer.numel() for buffer in buffers])
            torch._foreach_copy_(buffers, [part.view_as(buffer)
                                           for part, buffer in zip(parts, buffers)])


def _flat(tensors: list[Tensor]) -> Tensor:
    """Return a flat copy of all tensors."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
