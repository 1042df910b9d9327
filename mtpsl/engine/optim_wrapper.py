"""Mixed precision on any device."""

from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn
from torch.optim import Optimizer

from mtpsl.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Forward passes under ``torch.autocast``; bfloat16 needs no loss scaling.

    mmengine's own ``AmpOptimWrapper`` (float16 with loss scaling) asks for a GPU; this one runs
    on CPUs too.

    Args:
        optimizer: the optimizer.
        dtype: 'bfloat16', the type of the autocast operations.
        accumulative_counts: steps whose gradients are accumulated into one update.
        clip_grad: arguments of the gradient clipping, e.g. ``dict(max_norm=10)``.
    """

    def __init__(self, optimizer: Optimizer, dtype: str = 'bfloat16',
                 accumulative_counts: int = 1, clip_grad: dict | None = None) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        if dtype != 'bfloat16':
            raise ValueError(f"dtype must be 'bfloat16' (float16 needs loss scaling: use mmengine's"
                             f' AmpOptimWrapper), got {dtype!r}')
        self.dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Autocast around mmengine's own context."""
        with super().optim_context(model), torch.autocast(get_device(), self.dtype):
            yield
