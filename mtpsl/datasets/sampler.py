"""Samplers whose indices carry the random state of their sample to the workers."""

import logging
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log

from mtpsl.registry import DATA_SAMPLERS
from mtpsl.system.checks import is_integer


class SeededIndex(int):
    """Index plus seed and epoch; together they determine the augmentation.

    An ``int``, so that wrappers such as ``ConcatDataset`` and ``RepeatDataset`` can compute with
    it: ``-`` and ``%`` return a ``SeededIndex`` with the same ``place``, which determines the
    augmentation.

    Args:
        seed: the run's seed, >= 0.
        epoch: epoch of the sampler, >= 0.
        index: position of the image in the dataset.
        place: position in the outermost dataset; defaults to ``index``.
    """

    seed: int
    epoch: int
    place: int

    def __new__(cls, seed: int, epoch: int, index: int, place: int | None = None) -> 'SeededIndex':
        new = super().__new__(cls, index)
        new.seed, new.epoch = seed, epoch
        new.place = int(index) if place is None else place
        return new

    @property
    def index(self) -> int:
        """Return the position as a plain ``int``."""
        return int(self)

    def at(self, index: int) -> 'SeededIndex':
        """Return the same draw for another position, such as one in a sub-dataset."""
        return SeededIndex(self.seed, self.epoch, index, self.place)

    def __sub__(self, other: int) -> 'SeededIndex':
        return self.at(int(self) - other)

    def __mod__(self, other: int) -> 'SeededIndex':
        return self.at(int(self) % other)

    def __getnewargs__(self) -> tuple[int, int, int, int]:  # type: ignore[override]
        return self.seed, self.epoch, int(self), self.place

    def __repr__(self) -> str:
        return (f'SeededIndex(seed={self.seed}, epoch={self.epoch}, index={int(self)}, '
                f'place={self.place})')


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """Yield a :class:`SeededIndex` in place of each index of mmengine's ``DefaultSampler``.

    A sample then depends on (seed, epoch, image) only: not on workers, ranks, earlier draws or
    resuming. Order and arguments are those of ``DefaultSampler``; ``set_epoch`` (called by
    mmengine's training loops) renews order and augmentation.
    """

    passed = 0  # draws of this rank that the next epoch leaves out, since they were trained on

    def __iter__(self) -> Iterator[SeededIndex]:
        """Iterate over this rank's draws of the epoch."""
        first, self.passed = self.passed, 0
        return islice(self._epoch_draws(), first, None)

    def _epoch_draws(self) -> Iterator[SeededIndex]:
        return (SeededIndex(self.seed, self.epoch, index) for index in super().__iter__())


@DATA_SAMPLERS.register_module()
class JointSampler(SeededSampler):
    """Draw some sets of a :class:`~mtpsl.datasets.joint.JointDataset` more often than others.

    An epoch has ``epoch_size`` draws in random order, of which a fixed number n_k, the rounded
    share, is from set k. A set is drawn without replacement, across epochs too, until all its
    images are used. As with :class:`SeededSampler` a sample depends on (seed, epoch, image) only;
    an image that is drawn twice in an epoch gets different augmentations.

    Args:
        dataset: a ``JointDataset``.
        weights: set name -> its share of the draws, relative to the other sets.
        temperature: T >= 1, instead of ``weights``: shares are proportional to (images of the
            set)^(1/T); T = 1 draws all images equally often, a large T all sets.
        epoch_size: draws per epoch; defaults to the number of images of all sets.
        seed: the run's seed, >= 0; None synchronises a random one across ranks.
        round_up: see ``DefaultSampler``.

    Attributes:
        counts: set name -> n_k.

    Raises:
        TypeError: ``dataset`` is not a ``JointDataset``.
        ValueError: shares are not positive numbers, or a set would never be drawn.
    """

    def __init__(self, dataset: Any, weights: Mapping[str, float] | None = None,
                 temperature: float | None = None, epoch_size: int | None = None,
                 seed: int | None = None, round_up: bool = True) -> None:
        sets = getattr(dataset, 'sets', None)
        if sets is None:
            raise TypeError('JointSampler: dataset must be a JointDataset, got '
                            f'{type(dataset).__name__}')
        self.sizes = {name: len(one) for name, one in sets.items()}
        if epoch_size is not None and not is_integer(epoch_size):
            raise ValueError('JointSampler: epoch_size must be an integer of at least 1, or None, '
                             f'got {epoch_size!r}')
        total = len(dataset) if epoch_size is None else int(epoch_size)
        self.counts = _apportion(_shares(self.sizes, weights, temperature), total)
        super().__init__(range(total), shuffle=True, seed=seed, round_up=round_up)
        self.dataset = dataset
        told = ', '.join(f'{count} of the {self.sizes[name]} of {name}'
                         for name, count in self.counts.items())
        print_log(f'JointSampler: an epoch is {total} draws: {told}', 'current', logging.INFO)

    def _epoch_draws(self) -> Iterator[SeededIndex]:
        draws = [draw for name in self.sizes for draw in self._draws(name)]
        order = self._generator('epoch', self.epoch).permutation(len(draws)).tolist()
        if self.round_up:
            order = (order * (self.total_size // len(order) + 1))[:self.total_size]
        return (draws[place] for place in order[self.rank:self.total_size:self.world_size])

    def _draws(self, name: str) -> Iterator[SeededIndex]:
        """Iterate over the epoch's slice of an endless sequence of permutations of the set."""
        names, size, count = list(self.sizes), self.sizes[name], self.counts[name]
        start = sum(self.sizes[other] for other in names[:names.index(name)])
        first = self.epoch * count
        for turn in range(first // size, (first + count - 1) // size + 1):
            order = self._generator(name, turn).permutation(size).tolist()
            again = turn - first // size  # gives a second draw of an image another place
            for index in order[max(first - turn * size, 0):first + count - turn * size]:
                yield SeededIndex(self.seed, self.epoch, start + index,
                                  start + index + again * sum(self.sizes.values()))

    def _generator(self, what: str, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, *what.encode()])


def _shares(sizes: Mapping[str, int], weights: Mapping[str, float] | None,
            temperature: float | None) -> dict[str, float]:
    if weights is not None and temperature is not None:
        raise ValueError('JointSampler: give weights or temperature, not both')
    if weights is None:
        power = 1.0 if temperature is None else temperature
        if not (isinstance(power, (int, float)) and math.isfinite(power) and power >= 1):
            raise ValueError('JointSampler: temperature must be a number >= 1, got '
                             f'{temperature!r}')
        return {name: size ** (1 / power) for name, size in sizes.items()}
    if not isinstance(weights, Mapping) or set(weights) != set(sizes) or not all(
            isinstance(weight, (int, float)) and math.isfinite(weight) and weight > 0
            for weight in weights.values()):
        raise ValueError('JointSampler: weights must be a positive number for each of the sets '
                         f'{", ".join(sizes)}, got {weights!r}; to never draw a set, remove it '
                         'from the JointDataset')
    return {name: weights[name] for name in sizes}


def _apportion(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Round ``total`` times the normalised shares by the largest-remainder method."""
    whole = sum(shares.values())
    exact = {name: total * share / whole for name, share in shares.items()}
    counts = {name: math.floor(value) for name, value in exact.items()}
    by_rest = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_rest[:total - sum(counts.values())]:
        counts[name] += 1
    never = [name for name, count in counts.items() if not count]
    if never:
        raise ValueError(f'JointSampler: {", ".join(never)} would never be drawn in an epoch of '
                         f'{total}: raise its weight or epoch_size')
    return counts


@contextmanager
def seeded(draw: SeededIndex) -> Iterator[None]:
    """Seed the global random states of Python, NumPy and torch's CPU; restore them on exit.

    Global states, because the transforms of mmcv, mmseg and torchvision use them.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.default_generator.get_state()  # torch.manual_seed is for GPUs as well
    words = np.random.SeedSequence((draw.seed, draw.epoch, draw.place)).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    torch.default_generator.manual_seed(int(words[0]) << 32 | int(words[1]))
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.default_generator.set_state(torch_state)
