"""One seed gives one sample: draws that carry their own random state to the workers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from mmengine.dataset import DefaultSampler

from mtpsl.registry import DATA_SAMPLERS


class SeededIndex(NamedTuple):
    """Index plus seed and epoch; together they determine the augmentation.

    Attributes:
        seed: the run's seed, >= 0.
        epoch: epoch of the sampler, >= 0.
        index: position of the image in the dataset.
    """

    seed: int
    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index


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
    words = np.random.SeedSequence(tuple(draw)).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
