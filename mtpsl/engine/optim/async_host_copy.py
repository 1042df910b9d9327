"""Asynchronous device-to-host copies of scalars."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar('T')
LAG = 1  # entries that may still be in flight


class AsyncHostCopy(Generic[T]):
    """A FIFO queue of small tensors, each with data that the host has already.

    A GPU tensor is copied in its stream and read one entry later, when the GPU still has a whole
    step of work, so the wait costs nothing. It is always read exactly one entry later, which keeps
    several processes at the same entry. A CPU tensor can be read at once.
    """

    def __init__(self) -> None:
        self._entries: deque[tuple[Tensor, torch.cuda.Event | None, T]] = deque()

    def put(self, values: Tensor, known: T) -> None:
        """Start copying a tensor, which must not be changed in place later."""
        self._entries.append((*send(values), known))

    def get(self, everything: bool = False) -> Iterator[tuple[Tensor, T]]:
        """Take the entries that have arrived, or wait for all of them."""
        while self._entries and (everything or self._entries[0][1] is None
                                 or len(self._entries) > LAG):
            values, event, known = self._entries.popleft()
            if event is not None:
                event.synchronize()
            yield values, known


def send(values: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Copy a tensor to the host; return it with the event to wait for before reading it."""
    if not values.is_cuda:
        return values.cpu(), None
    host = values.to('cpu', non_blocking=True)  # into pinned memory
    event = torch.cuda.Event()
    event.record()
    return host, event
