"""Optimiser wrappers that skip steps which are not finite, in float32 and bfloat16."""

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from mtpsl.registry import OPTIM_WRAPPERS

from .buffer_snapshot import BufferSnapshot
from .parted_groups import PartedGroups

# Options of an optimiser's implementation, not of its algorithm.
IMPLEMENTATION = ('foreach', 'fused', 'capturable')


@OPTIM_WRAPPERS.register_module()
class FiniteOptimWrapper(OptimWrapper):
    """Skips a step whose loss, gradient norm or buffers are not finite on any process.

    A skipped step leaves parameters, the optimiser's state with its step counters, and the model's
    buffers (BatchNorm's statistics) unchanged bit for bit. With accumulated gradients a step is the
    whole window of ``accumulative_counts`` iterations.

    A part of the model (see ``MultiTaskModel.parts``) whose gradients are zero on all processes,
    such as the decoder of a task without labels in the batch, is left unchanged with its moments
    and step counters, as if it had no gradient. Otherwise weight decay and momentum would change
    it.

    With ``fused=True`` Adam or AdamW these decisions stay on the device, without synchronisation.
    Other optimisers need the decisions on the host, which on a GPU waits for the step.

    Args:
        optimizer: the optimizer.
        accumulative_counts: iterations whose gradients are accumulated into one step.
        clip_grad: arguments of the gradient clipping, e.g. ``dict(max_norm=10)``; see mmengine.

    Attributes:
        skipped: whether the last iteration's step was skipped, a boolean scalar on the device; None
            after an iteration that only accumulated.
        skipped_steps: number of skipped steps since the training began.
        scalars: what to log of the last iteration's step, on the device: the norm of the gradients
            before clipping, ``grad_norm``, and ``skipped_steps``.

    Raises:
        ValueError: an option of the optimizer, such as a learning rate, is not finite or is
            negative; or it needs a closure; in ``load_state_dict``, the state is of other
            parameters.
    """

    def __init__(self, optimizer: Optimizer, accumulative_counts: int = 1,
                 clip_grad: dict | None = None) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        closure = inspect.signature(optimizer.step).parameters.get('closure')
        if closure is not None and closure.default is closure.empty:
            raise ValueError(f'optim_wrapper.optimizer.type: {type(optimizer).__name__} computes '
                             'the loss several times per step (a closure), which no runner of '
                             'mmengine does; take another optimizer')
        for group in optimizer.param_groups:
            for key, value in group.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f'optim_wrapper.optimizer.{key} must be finite, got {value}')
                if key in ('lr', 'weight_decay') and value < 0:  # torch checks the defaults only
                    raise ValueError(f'optim_wrapper: {key} of a group of parameters must be at '
                                     f'least 0, got {value}')
        self.skipped: Tensor | None = None
        self.skipped_steps: Tensor | int = 0
        self.scalars: dict[str, Tensor] = {}
        self._before: BufferSnapshot | None = None  # at the start of the window
        self._found_inf: Tensor | None = None  # whether a loss of the window was not finite
        self._parts: PartedGroups | None = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter around each forward pass; save the buffers at the first of a window."""
        if self._before is None:
            self._before = BufferSnapshot(model)
        if self._parts is None:
            self._parts = PartedGroups(self.optimizer, getattr(model, 'module', model))
        with super().optim_context(model):
            yield

    def update_params(self, loss: Tensor, step_kwargs: dict | None = None,
                      zero_kwargs: dict | None = None) -> None:
        """Run the backward pass and, at the end of a window, the step. Arguments: see mmengine."""
        self.skipped, self.scalars = None, {}
        super().update_params(loss, step_kwargs, zero_kwargs)
        if self.skipped is None and self._before is not None:
            # A checkpoint or a validation may come before the end of the window.
            found_inf = self._before.found_inf()
            self._found_inf = found_inf if self._found_inf is None else self._found_inf | found_inf
            self._before.restore(self._found_inf)

    def backward(self, loss: Tensor, **kwargs: object) -> None:
        """Run the backward pass; record whether the loss is finite."""
        super().backward(loss, **kwargs)
        found_inf = ~loss.detach().isfinite()
        self._found_inf = found_inf if self._found_inf is None else self._found_inf | found_inf

    def step(self, **kwargs: object) -> None:
        """Clip the gradients; update the parameters, or restore the state before the window."""
        if self._parts is not None:
            self._parts.look()  # before clipping, which may round to zero
        norm = self._clip_grad()
        found_inf = ~norm.isfinite()
        if self._found_inf is not None:
            found_inf = self._found_inf | found_inf
        if self._before is not None:
            found_inf = found_inf | self._before.found_inf()
        found_inf = _on_any_process(found_inf)
        if self._before is not None:
            self._before.restore(found_inf)
        self._update(found_inf, kwargs)
        self.skipped = found_inf
        self.skipped_steps = self.skipped_steps + found_inf
        self.scalars = dict(grad_norm=norm, skipped_steps=self.skipped_steps)
        self._before = self._found_inf = None

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state, except the optimiser's implementation, which is the config's choice.

        Moments get the memory layout of their parameters, which the fused kernels rely on: the
        checkpoint's model may have had another layout.
        """
        groups = list(state_dict['param_groups'])
        for number, own in enumerate(self.optimizer.param_groups[:len(groups)]):
            groups[number] = groups[number] | {key: own[key] for key in IMPLEMENTATION
                                               if key in own}
        self._check_shapes(state_dict)
        super().load_state_dict(state_dict | dict(param_groups=groups))
        for parameter, state in self.optimizer.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def _check_shapes(self, state_dict: dict) -> None:
        """Raise ValueError on other shapes: fused kernels would read beyond shorter moments."""
        numbers = [number for group in state_dict['param_groups'] for number in group['params']]
        parameters = [p for group in self.optimizer.param_groups for p in group['params']]
        for number, parameter in zip(numbers, parameters):
            for key, value in state_dict['state'].get(number, {}).items():
                if isinstance(value, Tensor) and value.numel() > 1 and (
                        value.shape != parameter.shape):
                    raise ValueError(
                        "the optimiser's state is of other parameters than the model's: "
                        f'{key} number {number} is {tuple(value.shape)} for '
                        f'{tuple(parameter.shape)}')

    def _clip_grad(self) -> Tensor:
        """Clip the gradients if configured; return their norm before it, on the device."""
        parameters = [parameter for group in self.optimizer.param_groups
                      for parameter in group['params'] if parameter.grad is not None]
        if self.clip_grad_kwargs and self.grad_name == 'grad_norm':
            return self.clip_func(parameters, **self.clip_grad_kwargs)
        norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
        if self.clip_grad_kwargs:
            self.clip_func(parameters, **self.clip_grad_kwargs)
        return norm

    def _update(self, found_inf: Tensor, kwargs: dict) -> None:
        optimizer, parts = self.optimizer, self._parts
        if isinstance(optimizer, (Adam, AdamW)) and all(
                group['fused'] for group in optimizer.param_groups):
            # As torch's GradScaler does: with 1.0 the kernels change nothing.
            optimizer.found_inf = found_inf.float()  # type: ignore[attr-defined]
            groups = optimizer.param_groups
            if parts is not None:
                optimizer.param_groups = parts.telling(found_inf)
            try:
                optimizer.step(**kwargs)
            finally:
                optimizer.param_groups = groups
                del optimizer.found_inf  # type: ignore[attr-defined]
        elif not (parts.drop_still(found_inf) if parts is not None else found_inf.item()):
            optimizer.step(**kwargs)


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(FiniteOptimWrapper):
    """Forward passes under ``torch.autocast``; bfloat16 needs no loss scaling.

    mmengine's ``AmpOptimWrapper`` (float16 with loss scaling) needs a GPU; this one runs on CPUs
    too.

    Args:
        optimizer: the optimizer.
        dtype: 'bfloat16', the type of the autocast operations.
        accumulative_counts: iterations whose gradients are accumulated into one step.
        clip_grad: arguments of the gradient clipping, e.g. ``dict(max_norm=10)``.

    Raises:
        ValueError: another dtype.
    """

    def __init__(self, optimizer: Optimizer, dtype: str = 'bfloat16',
                 accumulative_counts: int = 1, clip_grad: dict | None = None) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        if dtype != 'bfloat16':
            raise ValueError(f"dtype must be 'bfloat16' (float16 needs loss scaling: use mmengine's"
                             f' AmpOptimWrapper), got {dtype!r}')
        self.dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Add autocast to the float32 wrapper's context."""
        with super().optim_context(model), torch.autocast(get_device(), self.dtype):
            yield


def _on_any_process(condition: Tensor) -> Tensor:
    """Return, on all processes, whether a boolean scalar is true on any of them."""
    if get_world_size() == 1:
        return condition
    flag = condition.float()
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return flag > 0
