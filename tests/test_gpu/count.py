"""Multiply-adds, bytes, launches and peak memory of what runs on fake CUDA."""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

# Kernels of an operation that has more than one; what allocates or looks has none.
KERNELS = {'convolution_backward': 3, 'native_batch_norm_backward': 2}
FREE = {'detach', 'alias', '_unsafe_view', 'lift_fresh', 'empty', 'empty_like', 'empty_strided',
        'new_empty', 'new_empty_strided', 'set_', 'resize_'}
FOREACH = 60  # tensors of one launch
# Operations a second of an H100, as far as they are reached; bytes a second; seconds a launch.
RATES = {'bf16': 790e12 * 0.6, 'tf32': 395e12 * 0.6, 'fp32': 60e12 * 0.8}
BANDWIDTH, LEAST = 3.3e12 * 0.8, 2e-6


class Counter(TorchDispatchMode):
    """Counts while it is entered.

    Attributes:
        macs: multiply-adds of convolutions and matrix products.
        bytes: read and written, each operation for itself.
        launches: of kernels.
        seconds: predicted of a card with ``RATES`` and ``BANDWIDTH``.
        live: bytes of the tensors that are alive, of those that it has seen.
        peak: the most that were.
        operations: launches by operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live, self._seen = 0, {}
        self.restart()

    def restart(self) -> None:
        """Count anew; what is alive stays so."""
        self.macs = self.bytes = self.launches = 0
        self.seconds, self.peak, self.operations = 0.0, self.live, {}

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given, made = list(_cuda(args)), list(_cuda(out))
        for tensor in made:
            self.see(tensor)
        name = func._schema.name.split('::')[1]
        known = {id(tensor) for tensor in given}
        in_place = name.endswith('_') or name.startswith('_f')
        looks = all(id(tensor) in known for tensor in made) and not in_place
        if not (given or made) or func.is_view or name in FREE or looks:
            return out
        size = sum(map(_bytes, given)) + sum(
            _bytes(tensor) for tensor in made if id(tensor) not in known or in_place)
        macs = 0
        if func._overloadpacket in flop_registry:
            macs = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out) // 2
        launches = KERNELS.get(name, 1)
        if name.startswith(('_foreach', '_fused')):
            launches = -(-max(len(arg) for arg in args if isinstance(arg, (list, tuple)))
                         // FOREACH)
        kind = 'tf32' if name.startswith('conv') else 'fp32'
        if any(tensor.dtype == torch.bfloat16 for tensor in made):
            kind = 'bf16'
        self.macs += macs
        self.bytes += size
        self.launches += launches
        self.operations[name] = self.operations.get(name, 0) + launches
        self.seconds += max(2 * macs / RATES[kind], size / BANDWIDTH, LEAST * launches)
        return out

    def see(self, tensor: Tensor) -> None:
        """Count its memory, until it is given back."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._drop, storage._cdata)

    def _drop(self, number: int) -> None:
        self.live -= self._seen.pop(number, 0)


def _cuda(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.device.type == 'cuda':
            yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _cuda(part)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
