"""Counts parameters and multiply-adds of a model, in total and by part, without running it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from mtpsl.models import PredictOptions
from mtpsl.models.stages import leave_out_batch_norm
from mtpsl.registry import MODELS
from mtpsl.structures.outputs import FINAL


class _EmptyOnMeta(TorchFunctionMode):
    """Makes ``torch.empty``, which layers use for their weights, return meta tensors.

    Unlike ``torch.device('meta')``, other tensors keep values: a noise schedule needs them.
    """

    def __torch_function__(self, func: Callable, types: tuple[type, ...], args: tuple = (),
                           kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        if func is torch.empty and kwargs.get('device') is None:
            kwargs = kwargs | dict(device='meta')
        return func(*args, **kwargs)


def build_without_values(model: Mapping[str, object]) -> Any:
    """Build a model whose weights have no values, in a tenth of the time and without memory.

    Args:
        model: config of the model, see ``mtpsl.registry.MODELS``.
    """
    with _EmptyOnMeta():
        return MODELS.build(model)


def _counted(model: nn.Module, image: Tensor) -> dict[str, int]:
    """Multiply-adds of the modules that a call of the model calls, by their path."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(image)  # not its forward, so that the whole model is counted as well
    root = type(model).__name__
    return {name.removeprefix(root).removeprefix('.'): sum(operations.values()) // 2
            for name, operations in counter.get_flop_counts().items() if name != 'Global'}


def complexity(model: nn.Module, shape: tuple[int, int] = (512, 512),
               depth: int = 2,
               tasks: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
    """Count the cost of a forward pass of one image, attention included.

    Counts multiply-adds (half of the floating-point operations) of convolutions, linear layers and
    matrix products, as the literature counts "FLOPs". They are those of the method as published,
    without the code's faster forms of the same computation. A model that averages several draws of
    noise (``num_samples``) denoises as often. The model is moved to the meta device
    and cannot be used afterwards.

    Args:
        model: a model whose forward takes (1, 3, H, W) images.
        shape: H and W in pixels.
        depth: number of levels of the module tree to report.
        tasks: tasks that a multi-task model predicts; None for all.

    Returns:
        ``{part: {'params': n, 'macs': n}}`` in the order of the tree; part ``''`` is the model.
    """
    # The counter misses attention on the CPU, but not on the meta device.
    model = model.to('meta').eval()
    leave_out_batch_norm(model)
    for module in model.modules():
        # Not an attribute of another library's module.
        if type(module).__module__.startswith('mtpsl.') and hasattr(module, 'shortcut'):
            module.shortcut = False  # type: ignore[assignment]  # torch: a tensor or a module
    image = torch.empty(1, 3, *shape, device='meta')
    if tasks is not None:
        logits: Any = model.logits
        model.forward = lambda inputs: logits(inputs, None, PredictOptions(tasks))[FINAL]
    called = _counted(model, image)
    more_draws = getattr(model, 'num_samples', 1) - 1  # a part of a model has none
    if more_draws:
        with torch.no_grad():
            _, source, condition = model.initial(image, tasks)  # type: ignore[operator]
        model.forward = lambda _: model.draw(source, condition, None)  # type: ignore[operator]
        for path, count in _counted(model, image).items():
            called[path] += more_draws * count

    def macs(path: str, module: nn.Module) -> int:
        """Return the cost of a part; one that is not called (a ModuleDict) sums its children."""
        if path in called:
            return called[path]
        return sum(macs(f'{path}.{name}'.lstrip('.'), child)
                   for name, child in module.named_children())

    return {path: dict(params=sum(p.numel() for p in module.parameters()),
                       macs=macs(path, module))
            for path, module in model.named_modules()
            if path.count('.') < depth and any(True for _ in module.parameters())}
