"""Median time and peak memory of procedures, measured in turns."""

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

# Called in the new process, it prepares and returns what is timed. It must be picklable: a
# function of a module, or a functools.partial of one. What the timed function returns in the
# first call, if it is a dict of numbers, is reported too.
Setup = Callable[[], Callable[[], object]]


class Measurement(NamedTuple):
    """What was measured of one procedure.

    Attributes:
        name: of the procedure.
        seconds: of each repeat, in their order.
        items: images (or what else is counted) of one repeat.
        peak_bytes: on a GPU the most memory that tensors took; else the most that the whole
            process had in memory (resident set), interpreter and libraries included.
        facts: what the procedure says of itself, numbers by name.
    """

    name: str
    seconds: tuple[float, ...]
    items: int
    peak_bytes: int
    facts: Mapping[str, float] = {}

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper, in seconds; with one repeat both are it."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        lower, _, upper = statistics.quantiles(self.seconds, n=4, method='inclusive')
        return lower, upper

    @property
    def rate(self) -> float:
        """Items a second, from the median."""
        return self.items / self.median


def measure(sides: Mapping[str, Setup], repeats: int, warm_up: int = 3, items: int = 1,
            device: str = 'cpu', afterwards: Callable[[Callable], dict] | None = None,
            settle: int = 0) -> list[Measurement]:
    """Time procedures in turns: A, B, A, B, so that a slow minute of the machine hits all alike.

    Each lives in a fresh process, whose peak memory is its own; only one works at a time.

    Args:
        sides: name -> how to set the procedure up.
        repeats: timed calls of each.
        warm_up: calls before them.
        items: what one call works on, such as images.
        device: 'cpu' or 'cuda', which is waited for before a clock is read.
        afterwards: takes what was timed once all is measured, and gives facts on it.
        settle: calls before each timed one that are not: a call finds caches and threads as the
            other procedure has left them, a loop as it has left them itself.

    Raises:
        RuntimeError: a procedure failed; the message ends with its error.
    """
    context = get_context('spawn')
    workers: dict[str, tuple] = {}
    try:
        for name, setup in sides.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_work,
                                      args=(setup, theirs, device, afterwards, settle))
            workers[name] = process, ours
            process.start()
            theirs.close()
            _ask(name, ours)  # one after the other: they would slow each other down
        facts: dict[str, dict] = {name: {} for name in sides}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
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
    """The measuring process: set up, then a step for each message until the end."""
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
        return  # the measuring was given up
    except Exception as error:
        told = traceback.format_exc() if os.environ.get('MTPSL_TRACEBACK') else (
            f'{type(error).__name__}: {error}')
        pipe.send(('error', told.strip()))


def _wait(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()


def peak_memory(device: str = 'cpu') -> int:
    """Bytes; see :class:`Measurement`."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated()
    # Linux hands the parent's peak on through getrusage, so ask for the process's own first.
    try:
        with open('/proc/self/status') as status:
            return next(1024 * int(line.split()[1]) for line in status
                        if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
