"""Tries code of the user's that makes batches, on a pattern, before a training.

The package's own datasets, collating and preprocessing are not tried.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from mmengine.runner import Runner

from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms import PackMultiTaskInputs
from mtpsl.datasets.transforms.probe import (
    SIZE,
    fault_of,
    label_of,
    maps_of,
    pattern_of,
    sample_of,
)

DRAWS, BATCH, AGAIN = 16, 2, 3
KNOWN = ('mtpsl', 'mmengine', 'torch')  # packages whose parts are not tried
INSIDE = ('dataset', 'datasets', 'sets')  # attributes of a wrapper
LISTED = ('data_list', 'data_bytes', 'data_address')  # what lists of images are held in


def check_own_batches(runner: Runner) -> None:
    """Raise ValueError if own code moves images without labels; warn where it keeps a state."""
    preprocessor = getattr(runner.model, 'module', runner.model).data_preprocessor
    loader = runner.train_dataloader
    foreign = list(_foreign([*(('dataset', one) for one in _tree(loader.dataset)),
                             ('collate_fn', loader.collate_fn),
                             ('data_preprocessor', preprocessor)]))
    if not foreign:
        return
    try:
        trial = Trial(loader.dataset, loader.collate_fn, copy.deepcopy(preprocessor).cpu())
    except Exception:  # it cannot be copied, and its state is to stay
        return
    named = f'the {" or the ".join(foreign)}'
    if fault := trial.fault():
        raise ValueError(f'{named} {fault}. What moves an image must move the maps in gt of its '
                         'data_samples too')
    if kept := trial.kept():
        runner.logger.warning(f'{named} {kept}')


class Trial:
    """Makes training batches of a pattern by a copy of the dataset, whose files are not read.

    Batches that cannot be made of one view are not judged.

    Args:
        dataset: the training data.
        collate: makes a batch of its samples.
        preprocess: the model's data preprocessor, on the CPU.
    """

    def __init__(self, dataset: Any, collate: Callable, preprocess: Callable) -> None:
        self._packed = _Packed()
        self._dataset = _copied(dataset, self._packed)
        self._collate, self._preprocess = collate, preprocess

    def fault(self) -> str:
        """Describe how image and labels are misaligned; '' if they are not.

        All images of a batch are alike, so blends of them are as well.
        """
        for number in range(DRAWS):
            for one in self._batch(number, number % 2):
                if found := fault_of(one, self._packed.pattern):
                    return found
        return ''

    def kept(self) -> str:
        """Describe what is kept from batch to batch; '' if nothing is."""
        first, *again = (self._values(0) for _ in range(AGAIN))
        if any(not _equal(one, first) for one in again):
            return ('makes another batch of the same images and seed when it is called again, so '
                    'it keeps something from call to call, such as a random generator: that '
                    'depends on num_workers, and --resume does not go on with it. np.random, '
                    'random and torch are seeded by (seed, epoch, image) inside of transforms')
        if first and _equal(self._values(1), first):
            return ('gives what it gave before of an image that the pipeline has changed: if it '
                    'keeps samples, their augmentation is the same in all epochs')
        return ''

    def _values(self, pattern: int) -> list[np.ndarray]:
        return [value for one in self._batch(0, pattern)
                for image, maps in [maps_of(one)] for value in (image, *maps.values())]

    def _batch(self, number: int, pattern: int) -> list[dict]:
        self._packed.pattern = pattern_of(SIZE, pattern)
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                places = (BATCH * number + one for one in range(BATCH))
                batch = self._preprocess(self._collate([
                    self._dataset[SeededIndex(0, 0, place % len(self._dataset))]
                    for place in places]), True)
                return [dict(inputs=image, data_samples=sample)
                        for image, sample in zip(batch['inputs'], batch['data_samples'])]
            except Exception:  # such as one made for views; of real batches the training tells
                return []


class _Packed:
    """A pattern in the place of a pipeline: nothing is read."""

    pattern: np.ndarray

    def __init__(self) -> None:
        self.pack = PackMultiTaskInputs()

    def __call__(self, results: dict) -> dict:
        tasks = results['tasks']
        labels = {name: label_of(self.pattern, task) for name, task in tasks.items()}
        return self.pack.transform(sample_of(self.pattern, labels, tasks))


def _copied(dataset: Any, pipeline: Callable) -> Any:
    """Copy a dataset and what is inside of it, with another pipeline."""
    if isinstance(dataset, PartialLabelDataset):
        shared = [getattr(dataset, name) for name in LISTED if hasattr(dataset, name)]
        memo = {id(dataset.pipeline): pipeline} | {id(one): one for one in shared}
    else:
        memo = {id(one): _copied(one, pipeline) for one in _held(dataset)}
    return copy.deepcopy(dataset, memo)


def _held(dataset: Any) -> Iterator[Any]:
    """The datasets that a wrapper holds."""
    for held in (getattr(dataset, name, None) for name in INSIDE):
        yield from held.values() if isinstance(held, Mapping) else (
            held if isinstance(held, (list, tuple)) else () if held is None else [held])


def _tree(dataset: Any) -> Iterator[Any]:
    """The dataset and all inside of it."""
    yield dataset
    for one in () if isinstance(dataset, PartialLabelDataset) else _held(dataset):
        yield from _tree(one)


def _foreign(parts: list[tuple[str, Any]]) -> Iterator[str]:
    for key, part in parts:
        while isinstance(part, partial):
            part = part.func
        owner = part if hasattr(part, '__qualname__') else type(part)
        if owner.__module__.partition('.')[0] not in KNOWN:
            yield f'{key} {owner.__module__}.{owner.__qualname__}'


def _equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))
