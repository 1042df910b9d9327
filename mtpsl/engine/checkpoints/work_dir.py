"""Locks work dirs: one training at a time, and no new run overwrites an old one."""

import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

POINTER = 'last_checkpoint'  # names the newest checkpoint; empty in a run that has not saved yet
LOCK = 'run.lock'
BEAT, PATIENCE = 10.0, 60.0  # seconds: between signs of life; until an owner is dead
CHECKPOINTS = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth')


@contextmanager
def claimed(cfg: Config) -> Iterator[None]:
    """Hold the folders of a training; raise if another run uses or has used them.

    Args:
        cfg: with ``work_dir``, ``launcher`` and whether to ``resume``.

    Raises:
        ValueError: another training uses them, or a new run would overwrite an earlier one. Only
            rank 0 checks; the message says what to do.
    """
    launcher = cfg.get('launcher', 'none')
    rank = os.environ.get('SLURM_PROCID' if launcher == 'slurm' else 'RANK', '0')
    if launcher != 'none' and rank != '0':
        yield
        return
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folders = [Path(cfg.work_dir)]
    if hook.get('out_dir'):
        folders.append(Path(hook['out_dir'], folders[0].name))
    held: list[Path] = []
    try:
        for folder in folders:
            if cfg.get('resume'):
                _check_origin(folder, cfg.get('load_from'))
            else:
                refuse_used(folder)
            hold(folder)
            held.append(folder)
        yield
    finally:
        for folder in held:
            release(folder)


def refuse_used(folder: str | Path) -> None:
    """Raise ValueError if a folder holds checkpoints that a new run would overwrite."""
    found = checkpoints_in(folder)
    if found:
        raise ValueError(
            f'{folder} holds checkpoints of a run, such as {found[0]}: --resume goes on with it; '
            'to start a new one give another --work-dir, or move or remove that folder')


def _check_origin(folder: Path, checkpoint: str | None) -> None:
    """Treat resuming from a checkpoint outside the folder as a new run of the folder."""
    if checkpoint and Path(checkpoint).resolve().parent != folder.resolve():
        found = checkpoints_in(folder)
        if found:
            raise ValueError(
                f'{folder} holds checkpoints of a run, such as {found[0]}, and {checkpoint} is not '
                'one of them: give another --work-dir to go on from that one')


def checkpoints_in(folder: str | Path) -> list[str]:
    """Return the names of a run's checkpoints: the last one, or all if none is marked as last."""
    folder = Path(folder)
    named = folder / POINTER
    name = named.read_text().strip() if named.is_file() else ''
    there = sorted(path.name for pattern in CHECKPOINTS for path in folder.glob(pattern))
    last = folder / Path(name).name
    return [last.name] if name and last.is_file() else there


class _Held(NamedTuple):
    """A lock that this process holds."""

    descriptor: int
    stop: threading.Event


_held: dict[Path, _Held] = {}


def hold(folder: str | Path) -> None:
    """Lock a folder for this process, until :func:`release` or the process's end.

    The operating system's lock on the file ``run.lock`` ends with its process, so a dead owner is
    replaced at once. Across machines of a shared file system that lock may not work: there the
    owner renews the file's time, and counts as dead after a minute without renewal.

    Raises:
        ValueError: another process holds it; the message names it.
    """
    path = Path(folder).resolve() / LOCK
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = _read(path)
    if owner and owner['host'] != socket.gethostname() and owner['boot'] != _boot():
        _wait_for_silence(path, owner)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ValueError(_in_use(path, _read(path))) from None
            raise OSError(error.errno, f'cannot lock {path}: {error.strerror}') from error
        if _is_of(path, descriptor):
            break
        os.close(descriptor)  # its owner has removed it meanwhile
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(dict(
        host=socket.gethostname(), process=os.getpid(), boot=_boot(),
        since=time.strftime('%Y-%m-%d %H:%M:%S'))).encode())
    stop = threading.Event()
    threading.Thread(target=_beat, args=(path, stop), daemon=True).start()
    _held[path] = _Held(descriptor, stop)


def keep(folder: str | Path) -> None:
    """Lock a folder again whose lock file was removed by hand.

    Raises:
        ValueError: another process has locked it since.
    """
    path = Path(folder).resolve() / LOCK
    held = _held.get(path)
    if held is not None and not _is_of(path, held.descriptor):
        release(folder)
        try:
            hold(folder)
        except ValueError as error:
            raise ValueError(f'{path} was removed while this process held it, and now {error}: '
                             'nothing more is saved here') from None


def release(folder: str | Path) -> None:
    """Unlock a folder and remove the lock file, if it is this process's own."""
    path = Path(folder).resolve() / LOCK
    held = _held.pop(path, None)
    if held is not None:
        held.stop.set()
        if _is_of(path, held.descriptor):
            path.unlink(missing_ok=True)
        os.close(held.descriptor)


def _is_of(path: Path, descriptor: int) -> bool:
    """Return whether a path leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        try:
            os.utime(path)
        except OSError:
            continue


def _read(path: Path) -> dict[str, str]:
    """Return the owner of a lock; empty if there is none or it is being written."""
    try:
        owner = json.loads(path.read_text())
        return {key: str(owner[key]) for key in ('host', 'process', 'boot', 'since')}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _wait_for_silence(path: Path, owner: dict[str, str]) -> None:
    """Raise ValueError at a sign of life of an owner on another machine."""
    print(f'{path} is of process {owner["process"]} on {owner["host"]}: waiting up to '
          f'{PATIENCE:.0f} s for a sign of life', flush=True)
    first, deadline = _time(path), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(min(1.0, PATIENCE / 10))
        now = _time(path)
        if now is None:  # it ended
            return
        if now != first:
            raise ValueError(_in_use(path, owner))


def _time(path: Path) -> int | None:
    try:
        with path.open() as file:  # opening a file bypasses a file server's cache
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _in_use(path: Path, owner: dict[str, str]) -> str:
    who = f'process {owner["process"]} on {owner["host"]}, since {owner["since"]}' if owner else (
        'another process')
    return (f'{path.parent} is in use by a training: {who}; wait for its end, or give another '
            '--work-dir')


def _boot() -> str:
    """Return an id of the machine's current boot."""
    try:
        return Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    except OSError:
        return ''
