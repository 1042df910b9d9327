"""Several processes of one training: do they have the same settings, and is one of them gone?"""

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.runner import Runner
from torch.distributed.distributed_c10d import _get_default_store

from mtpsl.engine.checkpoints.resume import differences, fingerprint

PATIENCE = 5.0  # seconds in which all that are alive notice that one is not
LOST = re.compile(r'Connection (closed|reset) by peer|Broken pipe|Connection refused|recvBytes|'
                  r'Socket (Timeout|closed)|failed to recv', re.IGNORECASE)


class _Rank(NamedTuple):
    host: str
    process: int


_ranks: list[_Rank] = []


def compare_settings(runner: Runner) -> None:
    """Raise ValueError, on all ranks, where one has other settings than rank 0."""
    if get_world_size() == 1:
        return
    _ranks[:] = all_gather_object(_Rank(socket.gethostname(), os.getpid()))
    offset = get_rank() if runner._randomness_cfg.get('diff_rank_seed') else 0
    own = fingerprint(runner.cfg, runner.world_size) | dict(seed=runner.seed - offset)
    _compare(own, 'settings')


def compare_data(runner: Runner) -> None:
    """The same of the training images and of what each is labelled for."""
    if get_world_size() == 1:
        return
    dataset = runner.train_dataloader.dataset
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        if hasattr(dataset, 'get_data_info'):
            info = dataset.get_data_info(index)
            digest.update(repr((info.get('img_id'), sorted(info.get('labels') or ()))).encode())
    _compare({'images': len(dataset), 'ids and labelled tasks, as a digest':
              digest.hexdigest()[:8]}, 'training data')


def _compare(own: dict, what: str) -> None:
    everyone = all_gather_object(own)
    for rank, other in enumerate(everyone):
        found = differences(everyone[0], other)
        if not found:
            continue
        if get_rank() != 0:  # rank 0 says it for all
            raise SystemExit(1)
        raise ValueError(f'rank {rank} has other {what} than rank 0 (-> is rank {rank}): {found}; '
                         'start all with the same command, config and data')


@contextmanager
def naming_lost_ranks() -> Iterator[None]:
    """Say which rank is gone where the communication breaks: gloo names an address only."""
    try:
        yield
    except RuntimeError as error:
        if len(_ranks) < 2 or not LOST.search(str(error)):
            raise
        lost = _find_lost()
        names = ', '.join(f'rank {rank} (process {_ranks[rank].process} on {_ranks[rank].host})'
                          for rank in lost)
        raise RuntimeError(
            f'{names or "another rank"} is gone, so rank {get_rank()} stops; its own last line '
            'says why, or it was killed (dmesg, or the batch system, tells)') from error


def _find_lost() -> list[int]:
    """The ranks of this machine whose process is no more, else those that give no sign."""
    with suppress(RuntimeError):
        _store().set(f'mtpsl/noticed/{get_rank()}', '1')
    others = [rank for rank in range(len(_ranks)) if rank != get_rank()]
    here, deadline = socket.gethostname(), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        silent = [rank for rank in others if not _noticed(rank)]
        dead = [rank for rank in silent
                if _ranks[rank].host == here and not _is_alive(_ranks[rank].process)]
        if dead:
            return dead
        time.sleep(0.05)
    return [rank for rank in others if not _noticed(rank)]


def _store() -> torch.distributed.Store:
    return _get_default_store()


def _noticed(rank: int) -> bool:
    try:
        return _store().check([f'mtpsl/noticed/{rank}'])
    except RuntimeError:  # it went with rank 0
        return rank != 0


def _is_alive(process: int) -> bool:
    """Whether there is such a process that is not a zombie."""
    try:
        state = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state not in 'ZX'
