"""One seed gives one sample: draws that carry their own random state to the workers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from mmengine.dataset import DefaultSampler

from mtpsl.registry import DATA_SAMPLERS


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
