"""Asynchronous device-to-host copies of scalars."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar('T')
LAG = 1  # entries that may still be on their way


class AsyncHostCopy(Generic[T]):
    """First in, first out; each entry is a small tensor and what the host knows of it.

    A GPU's tensor is copied in its stream and read one entry later, when the GPU has at least the
    work of a whole step left, so waiting for it costs nothing. That it is always one entry later,
    rather than as soon as it is there, keeps several processes at the same entry. A CPU's tensor
    is there at once.
    """

    def __init__(self) -> None:
        self._entries: deque[tuple[Tensor, torch.cuda.Event | None, T]] = deque()

    def put(self, values: Tensor, known: T) -> None:
        """Send a tensor, which must not be changed in place later."""
        self._entries.append((*send(values), known))

    def get(self, everything: bool = False) -> Iterator[tuple[Tensor, T]]:
        """Take the entries that have arrived, or everything, and wait for it."""
        while self._entries and (everything or self._entries[0][1] is None
                                 or len(self._entries) > LAG):
            values, event, known = self._entries.popleft()
            if event is not None:
                event.synchronize()
            yield values, known


def send(values: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """The tensor on the host, and what to wait for before reading it."""
    if not values.is_cuda:
        return values.cpu(), None
    host = values.to('cpu', non_blocking=True)  # into pinned memory
    event = torch.cuda.Event()
    event.record()
    return host, event
