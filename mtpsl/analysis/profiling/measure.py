"""Measures median time and peak memory of procedures in turns."""

import os
import resource
import statistics
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch

# Called in the new process, it prepares and returns the timed function. It must be picklable: a
# function of a module, or a functools.partial of one. If the first call of the timed function
# returns a dict of numbers, these are reported too.
Setup = Callable[[], Callable[[], object]]


class Measurement(NamedTuple):
    """The measurement of one procedure.

    Attributes:
        name: name of the procedure.
        seconds: time of each repeat, in order.
        items: number of images (or other items) per repeat.
        peak_bytes: on a GPU the peak memory of tensors; on a CPU the peak resident set of the
            process, interpreter and libraries included.
        facts: numbers by name that the procedure returns.
    """

    name: str
    seconds: tuple[float, ...]
    items: int
    peak_bytes: int
    facts: Mapping[str, float] = {}

    @property
    def median(self) -> float:
        """Median time in seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile in seconds; with one repeat both are its time."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        lower, _, upper = statistics.quantiles(self.seconds, n=4, method='inclusive')
        return lower, upper

    @property
    def rate(self) -> float:
        """Items per second, from the median."""
        return self.items / self.median


def measure(procedures: Mapping[str, Setup], repeats: int, warm_up: int = 3, items: int = 1,
            device: str = 'cpu', afterwards: Callable[[Callable], dict] | None = None,
            settle: int = 0) -> list[Measurement]:
    """Time procedures in turns (A, B, A, B), so that a slow minute of the machine hits all alike.

    Each procedure has a new process, for its own peak memory; only one works at a time.

    Args:
        procedures: name -> function that sets the procedure up.
        repeats: number of timed calls of each.
        warm_up: number of calls before them.
        items: number of items per call, such as images.
        device: 'cpu' or 'cuda', which is synchronised before the clock is read.
        afterwards: called with the timed function after all measurements; returns facts.
        settle: number of untimed calls before each timed one. Without them a call finds caches and
            threads as the other procedure left them, unlike in a loop.

    Raises:
        RuntimeError: a procedure failed; the message ends with its error.
    """
    context = get_context('spawn')
    workers: dict[str, tuple] = {}
    try:
        for name, setup in procedures.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_work,
                                      args=(setup, theirs, device, afterwards, settle))
            workers[name] = process, ours
            process.start()
            theirs.close()
            _ask(name, ours)  # set up one by one, since they would slow each other down
        facts: dict[str, dict] = {name: {} for name in procedures}
        seconds: dict[str, list[float]] = {name: [] for name in procedures}
        for turn in range(warm_up + repeats):
            for name, (_, pipe) in workers.items():
                pipe.send('step')
                taken, said = _ask(name, pipe)
                facts[name].update(said)
                if turn >= warm_up:
                    seconds[name].append(taken)
        result = []
        for name, (process, pipe) in workers.items():
            pipe.send('end')
            peak, more = _ask(name, pipe)
            result.append(Measurement(name, tuple(seconds[name]), items, peak,
                                      facts[name] | more))
            process.join()
        return result
    finally:
        for process, pipe in workers.values():
            pipe.close()
            if process.is_alive():
                process.terminate()
            process.join()


def _ask(name: str, pipe: Connection) -> Any:
    try:
        kind, content = pipe.recv()
    except EOFError:
        raise RuntimeError(f'the process that measures {name!r} exited without a result; was it '
                           'killed for its memory?') from None
    if kind == 'error':
        raise RuntimeError(f'measuring {name!r} failed: {content}')
    return content


def _work(setup: Setup, pipe: Connection, device: str,
          afterwards: Callable[[Callable], dict] | None, settle: int) -> None:
    """Run in the measuring process: set up, then a call for each message until the end."""
    try:
        step = setup()
        pipe.send(('ready', None))
        while pipe.recv() == 'step':
            for _ in range(settle):
                step()
            _wait(device)
            start = time.perf_counter()
            said = step()
            _wait(device)
            taken = time.perf_counter() - start
            pipe.send(('seconds', (taken, said if isinstance(said, dict) else {})))
        peak = peak_memory(device)
        pipe.send(('peak', (peak, afterwards(step) if afterwards else {})))
    except EOFError:
        return  # the measurement was aborted
    except Exception as error:
        told = traceback.format_exc() if os.environ.get('MTPSL_TRACEBACK') else (
            f'{type(error).__name__}: {error}')
        pipe.send(('error', told.strip()))


def _wait(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()


def peak_memory(device: str = 'cpu') -> int:
    """Return the peak memory in bytes, see :class:`Measurement`."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated()
    # On Linux getrusage inherits the parent's peak, so read the process's own first.
    try:
        with open('/proc/self/status') as status:
            return next(1024 * int(line.split()[1]) for line in status
                        if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
