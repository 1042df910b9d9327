"""One seed gives one sample: draws that carry their own random state to the workers."""

import logging
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log

from mtpsl.registry import DATA_SAMPLERS
from mtpsl.system.checks import is_integer


class SeededIndex(int):
    """Index plus seed and epoch; together they determine the augmentation.

    An ``int``, so that wrappers such as ``ConcatDataset`` and ``RepeatDataset`` can count with it:
    what they subtract or take the remainder of is an index again, and the augmentation goes on
    depending on the place in the whole.

    Args:
        seed: the run's seed, >= 0.
        epoch: epoch of the sampler, >= 0.
        index: position of the image in the dataset.
        place: position in the outermost dataset; None is ``index``.
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
        """The position as a plain number."""
        return int(self)

    def at(self, index: int) -> 'SeededIndex':
        """The same draw for another position, such as that in a part of the dataset."""
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
    """mmengine's ``DefaultSampler`` that yields a :class:`SeededIndex` in place of each index.

    A sample then depends on (seed, epoch, image) only: not on the worker, their number, the rank,
    what was drawn before, or whether the run was resumed. The order is ``DefaultSampler``'s, and
    so are the arguments; ``set_epoch`` (which mmengine's training loops call) renews both order
    and augmentation.
    """

    def __iter__(self) -> Iterator[SeededIndex]:
        return (SeededIndex(self.seed, self.epoch, index) for index in super().__iter__())


@DATA_SAMPLERS.register_module()
class JointSampler(SeededSampler):
    """Draws some sets of a :class:`~mtpsl.datasets.joint.JointDataset` more often than others.

    An epoch is ``epoch_size`` draws, in random order, of which set k has a fixed number n_k,
    its share rounded. A set goes through all its images before one comes again, over the ends of
    epochs too. As with :class:`SeededSampler` a sample depends on (seed, epoch, image) only; an
    image that is drawn twice in an epoch is augmented anew.

    Args:
        dataset: a ``JointDataset``.
        weights: set name -> its share of the draws, relative to the others'.
        temperature: T >= 1, in place of ``weights``: shares are as (images of the set)^(1/T); 1
            draws each image equally often, a large T each set.
        epoch_size: draws in an epoch; None is the number of images of all sets.
        seed: the run's seed, >= 0; None takes a common one of all ranks.
        round_up: see ``DefaultSampler``.

    Attributes:
        counts: set name -> n_k.

    Raises:
        TypeError: ``dataset`` is no ``JointDataset``.
        ValueError: shares that are not positive numbers, a set that would never be drawn.
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

    def __iter__(self) -> Iterator[SeededIndex]:
        """This rank's draws of the epoch."""
        draws = [draw for name in self.sizes for draw in self._draws(name)]
        order = self._generator('epoch', self.epoch).permutation(len(draws)).tolist()
        if self.round_up:
            order = (order * (self.total_size // len(order) + 1))[:self.total_size]
        return (draws[place] for place in order[self.rank:self.total_size:self.world_size])

    def _draws(self, name: str) -> Iterator[SeededIndex]:
        """The epoch's part of the set's endless row of permutations."""
        names, size, count = list(self.sizes), self.sizes[name], self.counts[name]
        start = sum(self.sizes[other] for other in names[:names.index(name)])
        first = self.epoch * count
        for turn in range(first // size, (first + count - 1) // size + 1):
            order = self._generator(name, turn).permutation(size).tolist()
            again = turn - first // size  # an image's second draw is another sample
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
                         f'{", ".join(sizes)}, got {weights!r}; a set that is not to be drawn does '
                         'not belong into the JointDataset')
    return {name: weights[name] for name in sizes}


def _apportion(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers in the ratio of the shares, by the largest remainders, that sum to total."""
    whole = sum(shares.values())
    exact = {name: total * share / whole for name, share in shares.items()}
    counts = {name: math.floor(value) for name, value in exact.items()}
    by_rest = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_rest[:total - sum(counts.values())]:
        counts[name] += 1
    never = [name for name, count in counts.items() if not count]
    if never:
        raise ValueError(f'JointSampler: {", ".join(never)} would never be drawn in an epoch of '
                         f'{total}: raise its weight, or epoch_size')
    return counts


@contextmanager
def seeded(draw: SeededIndex) -> Iterator[None]:
    """Python's and NumPy's global random states depend on ``draw`` inside and are put back after.

    The global states, because mmcv's and mmseg's transforms draw from them.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    words = np.random.SeedSequence((draw.seed, draw.epoch, draw.place)).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
