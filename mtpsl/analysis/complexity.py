"""Parameters and multiply-adds of a model, in all and by part, without running it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from mtpsl.models import PredictOptions
from mtpsl.registry import MODELS
from mtpsl.structures.outputs import FINAL


class _EmptyOnMeta(TorchFunctionMode):
    """``torch.empty``, by which layers make their weights, gives tensors without values.

    Not all tensors, as ``torch.device('meta')`` would: a noise schedule needs its values.
    """

    def __torch_function__(self, func: Callable, types: tuple[type, ...], args: tuple = (),
                           kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        if func is torch.empty and kwargs.get('device') is None:
            kwargs = kwargs | dict(device='meta')
        return func(*args, **kwargs)


def build_without_values(model: Mapping[str, object]) -> Any:
    """Build a model whose weights have no values: a tenth of the time, and no memory.

    Args:
        model: its config, see ``mtpsl.registry.MODELS``.
    """
    with _EmptyOnMeta():
        return MODELS.build(model)


def complexity(model: nn.Module, shape: tuple[int, int] = (512, 512),
               depth: int = 2,
               tasks: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
    """Count what one forward pass of one image costs, attention included.

    Multiply-adds (half of the floating-point operations) of convolutions, linear layers and
    matrix products, as the literature counts "FLOPs": of the method as it is written, without the
    shortcuts by which the same values are had for less. The model is moved to the meta device
    and is of no further use.

    Args:
        model: a model whose forward takes (1, 3, H, W) images.
        shape: H and W in pixels.
        depth: levels of the module tree to break the numbers down to.
        tasks: of a multi-task model, those that are predicted; None is all.

    Returns:
        ``{part: {'params': n, 'macs': n}}`` in the order of the tree; the whole is the part ``''``.
    """
    # On the meta device attention is counted too; on the CPU it is silently missed.
    model = model.to('meta').eval()
    for module in model.modules():
        # Not what another library calls so.
        if type(module).__module__.startswith('mtpsl.') and hasattr(module, 'shortcut'):
            module.shortcut = False  # type: ignore[assignment]  # torch: a tensor or a module
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        image = torch.empty(1, 3, *shape, device='meta')
        if tasks is None:
            model(image)
        else:
            logits: Any = model.logits
            model.forward = lambda inputs: logits(inputs, None, PredictOptions(tasks))[FINAL]
            model(image)  # by the call, so that the whole is counted as well
    root = type(model).__name__
    called = {name.removeprefix(root).removeprefix('.'): sum(operations.values()) // 2
              for name, operations in counter.get_flop_counts().items() if name != 'Global'}

    def macs(path: str, module: nn.Module) -> int:
        """A part that is no call of its own (a ModuleDict) costs what its children do."""
        if path in called:
            return called[path]
        return sum(macs(f'{path}.{name}'.lstrip('.'), child)
                   for name, child in module.named_children())

    return {path: dict(params=sum(p.numel() for p in module.parameters()),
                       macs=macs(path, module))
            for path, module in model.named_modules()
            if path.count('.') < depth and any(True for _ in module.parameters())}
