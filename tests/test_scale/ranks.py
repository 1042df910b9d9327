"""Processes that stand for ranks, with what torchrun tells them; gloo where there is no GPU."""

import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe, wait

import torch
from forked import fork, free_port

SECONDS = 240  # a deadlock fails the test after this


def run_ranks(world_size: int, work: Callable, *arguments: object, gpu: bool = False) -> list:
    """What ``work(*arguments)`` returns on each rank, in their order.

    Args:
        world_size: number of processes.
        work: a function of a module that is no test (the processes import it).
        arguments: its arguments.
        gpu: leave the GPUs to the processes.

    Raises:
        AssertionError: a rank fails, or does not answer in time.
    """
    shared = dict(WORLD_SIZE=str(world_size), LOCAL_WORLD_SIZE=str(world_size),
                  MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    if not gpu:
        shared['CUDA_VISIBLE_DEVICES'] = ''
    ends, processes = [], []
    for rank in map(str, range(world_size)):
        end, other = Pipe(duplex=False)
        processes.append(fork(_rank, other, shared | dict(RANK=rank, LOCAL_RANK=rank), work,
                              arguments))
        other.close()  # so that the end of the process is the end of the pipe
        ends.append(end)
    try:
        return _answers(ends)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _answers(ends: list[Connection]) -> list:
    answers, deadline = {}, time.monotonic() + SECONDS
    while len(answers) < len(ends):
        ready = wait([end for end in ends if end not in answers], deadline - time.monotonic())
        assert ready, f'{len(ends) - len(answers)} ranks did not answer in {SECONDS} s'
        for end in ready:
            try:
                answers[end] = end.recv()
            except EOFError:
                raise AssertionError(f'rank {ends.index(end)} failed, see its output') from None
    return [answers[end] for end in ends]


def _rank(end: Connection, variables: dict[str, str], work: Callable, arguments: tuple) -> None:
    os.environ.update(variables)
    end.send(work(*arguments))
    end.close()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
