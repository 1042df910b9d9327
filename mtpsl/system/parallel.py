"""Work on many files in several processes, with its progress and the time that is left."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import TypeVar

BAR = 20  # characters
Item = TypeVar('Item')
Result = TypeVar('Result')


class Progress:
    """Rate and remaining time: a live bar on a terminal, else a line per tenth.

    Args:
        total: how many there are to do, at least 1.
        noun: what they are, such as 'scenes'.
    """

    def __init__(self, total: int, noun: str) -> None:
        self.total, self.noun = total, noun
        self.start, self.shown = time.perf_counter(), 0.0

    def update(self, done: int) -> None:
        """Say that the first ``done`` are finished, if it is time to say something."""
        live, now = sys.stdout.isatty(), time.perf_counter()
        step = -(-self.total // 10)
        if done < self.total and (now - self.shown < 0.2 if live else done % step):
            return
        self.shown = now
        rate = done / max(now - self.start, 1e-6)
        line = (f'{done}/{self.total} {self.noun}, {rate:.1f} a second, '
                f'{(self.total - done) / rate:.0f} s left')
        bar = '#' * (BAR * done // self.total)
        print(f'\r[{bar:<{BAR}}] {line:<60}' if live else line,
              end='' if live and done < self.total else '\n', flush=True)


def run_in_workers(function: Callable[[Item], Result], items: Sequence[Item], workers: int,
                   noun: str) -> list[Result]:
    """Call ``function``, a picklable one, on each item and show the progress.

    Args:
        function: what to do with one item.
        items: the items, picklable.
        workers: processes, at least 1; with 1 all is done in this process.
        noun: what the items are, in the plural.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: the first that ``function`` raised; what was not begun is left.
        BrokenProcessPool: a worker died.
    """
    if not items:
        return []
    progress = Progress(len(items), noun)

    def follow(results: Iterable[object]) -> list:
        found = []
        for done, result in enumerate(results, 1):
            found.append(result)
            progress.update(done)
        return found

    if workers == 1 or len(items) < 2:
        return follow(map(function, items))
    # Spawned, not forked: threads of libraries loaded here must not be copied half-way.
    with ProcessPoolExecutor(workers, get_context('spawn'), start_worker) as pool:
        try:
            # Workers inherit the mask: Ctrl-C is for this process, which lets them finish an item.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                results = pool.map(function, items, chunksize=4)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return follow(results)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def start_worker() -> None:
    """Let a worker use one core, and end with its parent even if that is killed."""
    import cv2  # not for a command line that only asks for help

    cv2.setNumThreads(1)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
