"""What ranks share: settings, data, weights and the model; and which of them were lost."""

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.distributed_c10d import _get_default_store
from torch.utils.data import Dataset

from mtpsl.engine.checkpoints.data_files import code_of, files_of, other_files, unlike
from mtpsl.engine.checkpoints.resume import differences, fingerprint, plain
from mtpsl.system.parallel import is_alive

PATIENCE = 5.0  # seconds in which all live ranks notice a lost one
LOST = re.compile(r'Connection (closed|reset) by peer|Broken pipe|Connection refused|recvBytes|'
                  r'Socket (Timeout|closed)|failed to recv', re.IGNORECASE)
# Entries that must be equal on all ranks besides the fingerprint, or ranks would wait for others.
TOGETHER = ('train_cfg', 'val_cfg', 'test_cfg', 'val_dataloader', 'test_dataloader', 'custom_hooks',
            'auto_scale_lr', 'sync_bn', 'resume')
ALIKE = 'start all with the same command, config, data and weights'


class _Rank(NamedTuple):
    host: str
    process: int


_ranks: list[_Rank] = []


def compare_settings(runner: Runner) -> None:
    """Stop all ranks if one has other settings than rank 0, which raises ValueError."""
    if get_world_size() == 1:
        return
    _ranks[:] = all_gather_object(_Rank(socket.gethostname(), os.getpid()))
    offset = get_rank() if runner._randomness_cfg.get('diff_rank_seed') else 0
    own = fingerprint(runner.cfg, runner.world_size) | dict(seed=runner.seed - offset)
    together = {key: plain(runner.cfg[key]) for key in TOGETHER if key in runner.cfg}
    code = {'code, as checksums': code_of(runner.cfg)}
    _compare(own | together | code, 'settings')


def compare_data(dataset: Dataset, what: str) -> None:
    """Stop all ranks if one has other images, labelled tasks or content of files than rank 0."""
    if get_world_size() == 1:
        return
    _compare(content_of(dataset), what)
    everyone = all_gather_object(files_of(dataset))
    for rank, files in enumerate(everyone):
        if not unlike(everyone[0], files):
            continue
        if get_rank() != 0:  # rank 0 reports for all
            raise SystemExit(1)
        raise ValueError(f'rank {rank} has other {what} than rank 0: '
                         f'{other_files(files, dataset, f"rank {rank} has")}; {ALIKE}')


def content_of(dataset: Dataset) -> dict:
    """Return the number of images and a digest of their ids and labelled tasks, in order."""
    digest = hashlib.sha256()
    number = len(dataset)  # type: ignore[arg-type]  # all here have a length
    for index in range(number):
        if hasattr(dataset, 'get_data_info'):
            info = dataset.get_data_info(index)
            digest.update(repr((info.get('img_id'), sorted(info.get('labels') or ()))).encode())
    return {'images': number, 'ids and labelled tasks, as a digest': digest.hexdigest()[:8]}


def bare_model(runner: Runner) -> Any:
    """The runner's model without what DistributedDataParallel wraps around it."""
    return getattr(runner.model, 'module', runner.model)


def compare_weights(runner: Runner, teacher: nn.Module | None = None) -> None:
    """Stop all ranks if one has other loaded weights than rank 0, whichever file it read.

    Compares weights, buffers, the optimiser's state and the iteration as they are in memory, and
    the weights of a model that is learned from, which is no part of the other.
    """
    if get_world_size() == 1:
        return
    own: dict[str, object] = {'iteration': runner.iter,
                              'weights, as a digest': _digest(runner.model.state_dict())}
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    if isinstance(optimizer, torch.optim.Optimizer):
        own['state of the optimizer, as a digest'] = _digest(optimizer.state_dict()['state'])
    if teacher is not None:
        own['weights of the teacher, as a digest'] = _digest(teacher.state_dict())
    own['load_from'] = runner._load_from if _differ(own) else None
    _compare(own, 'weights')


def tell_apart(runner: Runner) -> bool:
    """Warn where a rank's weights or learning rates have become others than rank 0's; whether so.

    All ranks must call it. Gradients are averaged over the ranks, so that nothing but code that
    acts on some of them, as a hook with ``master_only``, moves weights apart.
    """
    if get_world_size() == 1:
        return False
    model = bare_model(runner)
    own = {'weights, as a digest': _digest(dict(model.named_parameters())),
           'learning rates': {name: sorted(set(rates)) for name, rates in
                              runner.optim_wrapper.get_lr().items()}}
    everyone = all_gather_object(own)
    for rank, other in enumerate(everyone):
        if found := differences(everyone[0], other):
            runner.logger.warning(
                f'rank {rank} no longer has what rank 0 has after {runner.iter} iterations (-> is '
                f'rank {rank}): {found}. Does a hook act on one rank alone, as with master_only, '
                'or make weights trainable that were frozen when DDP was built? '
                'Checkpoints and figures are of the weights of rank 0. (Devices of different kinds '
                'round otherwise.)')
            return True
    return False


def _differ(own: dict) -> bool:
    return any(other != own for other in all_gather_object(own))


def _digest(content: object) -> str:
    """Return a digest of the tensors in nested dicts, bit for bit."""
    digest = hashlib.sha256()

    def add(place: str, part: object) -> None:
        if isinstance(part, Mapping):
            for key, value in part.items():
                add(f'{place}.{key}', value)
        elif isinstance(part, Tensor):
            digest.update(f'{place} {part.dtype} {tuple(part.shape)}'.encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)

    add('', content)
    return digest.hexdigest()[:8]


def _compare(own: dict, what: str) -> None:
    everyone = all_gather_object(own)
    for rank, other in enumerate(everyone):
        found = differences(everyone[0], other)
        if not found:
            continue
        if get_rank() != 0:  # rank 0 reports for all
            raise SystemExit(1)
        raise ValueError(f'rank {rank} has other {what} than rank 0 (-> is rank {rank}): {found}; '
                         f'{ALIKE}')


@contextmanager
def naming_lost_ranks() -> Iterator[None]:
    """Name the lost rank where communication breaks: gloo gives an address only."""
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
    """Return the ranks of this machine that have ended, else those without a sign of life."""
    with suppress(RuntimeError):
        _store().set(f'mtpsl/noticed/{get_rank()}', '1')
    others = [rank for rank in range(len(_ranks)) if rank != get_rank()]
    here, deadline = socket.gethostname(), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        silent = [rank for rank in others if not _noticed(rank)]
        dead = [rank for rank in silent
                if _ranks[rank].host == here and not is_alive(_ranks[rank].process)]
        if dead:
            return dead
        time.sleep(0.05)
    return [rank for rank in others if not _noticed(rank)]


def _store() -> torch.distributed.Store:
    return _get_default_store()


def _noticed(rank: int) -> bool:
    try:
        return _store().check([f'mtpsl/noticed/{rank}'])
    except RuntimeError:  # the store ended with rank 0
        return rank != 0
