"""Processes many files in parallel, and shows progress and remaining time."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

BAR = 20  # characters
Item = TypeVar('Item')
Result = TypeVar('Result')


class Progress:
    """Rate and remaining time: a live bar on a terminal, else a line per tenth.

    Args:
        total: number of items, at least 1.
        noun: name of the items, such as 'scenes'.
    """

    def __init__(self, total: int, noun: str) -> None:
        self.total, self.noun = total, noun
        self.start, self.shown = time.perf_counter(), 0.0

    def update(self, done: int) -> None:
        """Show that ``done`` items are finished, if it is time for an update."""
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
    """Call a picklable ``function`` on each item and show the progress.

    Args:
        function: processes one item.
        items: picklable items.
        workers: number of processes, at least 1; 1 is this process.
        noun: name of the items, in the plural.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: the first that ``function`` raised; remaining items are not begun.
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
    # Spawned, not forked: a fork may copy libraries' threads in an inconsistent state.
    with ProcessPoolExecutor(workers, get_context('spawn'), start_worker) as pool:
        try:
            # Workers inherit the mask: this process handles Ctrl-C, and lets them finish an item.
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
    import cv2  # not imported for --help

    cv2.setNumThreads(1)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def is_alive(process: int) -> bool:
    """Return whether a process of this machine exists and is not a zombie."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    try:
        state = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:  # not on Linux
        return True
    return state not in 'ZX'


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
