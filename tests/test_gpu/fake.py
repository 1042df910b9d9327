"""Fake CUDA: devices, shapes and types of a step, and what the host would wait for.

In processes with the environment of ``stub.py`` a stub takes CUDA's place in a CPU build of
torch. No kernel runs, no number is known, so whatever has to read one, such as ``.item()``,
``bool(tensor)`` or ``nonzero``, raises; so does an operation on tensors of two devices.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.cuda.amp.common
import torch.utils._foreach_utils
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import mtpsl.engine.optim.optim_wrapper as optim_wrapper
import mtpsl.models.attach as attach
from mtpsl.engine.quiet import quieten

REPO = Path(__file__).resolve().parents[2]
FAKE = FakeTensorMode(allow_non_fake_inputs=True)
_pinned: dict[int, torch.UntypedStorage] = {}  # held, so that no other gets the number


def set_up() -> None:
    """Let torch and the project take the stub for a GPU, and pin by name only."""
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    torch.cuda.is_bf16_supported = lambda *args, **kwargs: True
    torch.utils._foreach_utils._foreach_supported_types.append(FakeTensor)  # as CUDA's are
    torch.Tensor.pin_memory = _pin
    optim_wrapper.get_device = lambda: 'cuda'
    attach.refuse_not_finite = lambda maps, images: None  # the one wait of a prediction
    quieten()
    init_default_scope('mtpsl')


def _pin(tensor: Tensor, *_: object) -> Tensor:
    storage = tensor.untyped_storage()
    _pinned[storage._cdata] = storage
    return tensor


class HostWaitError(RuntimeError):
    """A copy that blocks the host."""


class Copies(TorchDispatchMode):
    """Refuses copies between host and device that the host waits for."""

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func._schema.name
        if name in ('aten::_to_copy', 'aten::copy_'):
            source = args[1] if name == 'aten::copy_' else args[0]
            waits = kwargs.get('non_blocking', args[2] if len(args) > 2 else False) is False
            crossing = {source.device.type, out.device.type} == {'cpu', 'cuda'}
            if crossing and waits:
                raise HostWaitError(f'a blocking copy of {tuple(source.shape)}')
            if crossing and source.device.type == 'cpu' and (
                    source.untyped_storage()._cdata not in _pinned):
                raise HostWaitError(f'a copy of {tuple(source.shape)} from pageable memory')
        return out


def to_fake(model: nn.Module, device: str = 'cuda') -> nn.Module:
    """Replace parameters and buffers by fake ones of the device, their memory format kept."""
    def fake(tensor: Tensor) -> Tensor:
        with FAKE:
            return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype,
                                       device=device)

    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(fake(parameter), parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fake(buffer)
    model.data_preprocessor._device = torch.device(device)
    return model


def tried(work: Callable[[], object]) -> str:
    """'ok', or the error and where in our code it arose, innermost last."""
    try:
        work()
        return 'ok'
    except Exception as error:
        if os.environ.get('MTPSL_TRACEBACK'):
            traceback.print_exc(file=sys.stderr)
        return f'{type(error).__name__}: {str(error)[:200]} at {", ".join(_ours(error))}'


def _ours(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(REPO / 'mtpsl'):
            yield f'{path.relative_to(REPO)}:{frame.lineno}'
