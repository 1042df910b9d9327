"""Whether batches can be made as a config has them."""

import resource
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop, Runner

from mtpsl.datasets import SeededSampler


def batch_doubts(runner: Runner) -> Iterator[str]:
    """What is told of the order of images, of open files and of accumulated steps.

    Raises:
        ValueError: an epoch would hold no batch.
    """
    loader = runner.train_dataloader
    sampler = type(getattr(loader, 'sampler', None)).__name__
    if not sampler.endswith('InfiniteSampler') and not len(loader):
        raise ValueError(
            f'the {len(loader.dataset)} training images make no batch of {loader.batch_size} on '
            f'{runner.world_size} processes, since train_dataloader.drop_last leaves out what is '
            'incomplete; lower train_dataloader.batch_size')
    if not isinstance(getattr(loader, 'sampler', None), (SeededSampler, type(None))):
        yield (f'train_dataloader.sampler is {sampler}: random transforms draw from the generators '
               'of the processes, so a resumed run is not bit for bit the one that was not '
               'interrupted, nor one with other workers; SeededSampler seeds them by image and '
               'epoch')
    if getattr(getattr(loader, 'sampler', None), 'shuffle', True) is False:
        yield ('train_dataloader.sampler.shuffle is False: the images come in one order in all '
               'epochs')
    if told := too_many_files(loader, resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        yield told
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return  # iterations go round and round
    counts = runner.cfg.optim_wrapper.get('accumulative_counts', 1)
    if counts > len(loader):
        yield (f'optim_wrapper.accumulative_counts={counts} is more than the {len(loader)} steps '
               'of an epoch: the whole training makes '
               f'{-(-runner.train_loop.max_iters // counts)} updates of the weights')
    elif len(loader) % counts:
        yield (f'optim_wrapper.accumulative_counts={counts} does not divide the {len(loader)} '
               'steps of an epoch: a checkpoint in between has no part of the update that is under '
               'way, so a resumed run is not bit for bit the one that was not interrupted')


def too_many_files(loader: Any, limit: int) -> str:
    """Describe how batches that wait need more open files than a process may have; '' if not.

    Each label map that a worker process sends holds one, where they are shared by descriptors, and
    beyond the limit its batch never arrives.

    Args:
        loader: a data loader.
        limit: of the open files of a process.
    """
    workers, ahead = getattr(loader, 'num_workers', 0), getattr(loader, 'prefetch_factor', None)
    least = workers * (ahead or 0) * (getattr(loader, 'batch_size', None) or 0)
    if least < limit or torch.multiprocessing.get_sharing_strategy() != 'file_descriptor':
        return ''
    return (f'{workers} workers with {ahead} batches of {loader.batch_size} images each hold '
            f'{least} open files at least, and this process may have {limit} (ulimit -n): the '
            'training may wait for ever. Raise the limit, or lower num_workers, prefetch_factor or '
            'batch_size of train_dataloader')
