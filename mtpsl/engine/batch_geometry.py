"""Tests on a pattern whether code of the user's that makes batches keeps labels on images.

The package's own datasets, collating and preprocessing are not tested.
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
from mtpsl.datasets.transforms.probe import SIZE, fault_of, label_of, pattern_of, sample_of

DRAWS, BATCH = 16, 2
KNOWN = ('mtpsl', 'mmengine', 'torch')  # packages whose parts move nothing
INSIDE = ('dataset', 'datasets', 'sets')  # attributes of a wrapper


def check_batch_geometry(runner: Runner) -> None:
    """Raise ValueError if a dataset, a collate_fn or a preprocessor moves images without labels."""
    preprocessor = getattr(runner.model, 'module', runner.model).data_preprocessor
    loader = runner.train_dataloader
    parts = [('dataset', one) for one in _tree(loader.dataset)]
    foreign = list(_foreign([*parts, ('collate_fn', loader.collate_fn),
                             ('data_preprocessor', preprocessor)]))
    fault = batch_fault(loader.dataset, loader.collate_fn,
                        copy.deepcopy(preprocessor).cpu()) if foreign else ''
    if fault:
        raise ValueError(f'the {" or the ".join(foreign)} {fault}. What moves an image must move '
                         'the maps in gt of its data_samples too')


def batch_fault(dataset: Any, collate: Callable, preprocess: Callable) -> str:
    """Describe how training batches of a pattern misalign image and labels; '' if they do not.

    All images of a batch are alike, so blends of them are as well. Batches that cannot be made of
    one view are not judged.

    Args:
        dataset: the training data, whose files are not read.
        collate: makes a batch of its samples.
        preprocess: the model's data preprocessor, on the CPU.
    """
    packed = _Packed()
    twin = _with_pipeline(dataset, packed)
    for number in range(DRAWS):
        packed.pattern = pattern_of(SIZE, number % 2)
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                places = (BATCH * number + one for one in range(BATCH))
                batch = preprocess(collate([
                    twin[SeededIndex(0, 0, place % len(twin))] for place in places]), True)
                made = [dict(inputs=image, data_samples=sample)
                        for image, sample in zip(batch['inputs'], batch['data_samples'])]
            except Exception:  # such as one made for views; of real batches the training tells
                return ''
        for found in (fault_of(one, packed.pattern) for one in made):
            if found:
                return found
    return ''


class _Packed:
    """A pattern in the place of a pipeline: nothing is read."""

    pattern: np.ndarray

    def __init__(self) -> None:
        self.pack = PackMultiTaskInputs()

    def __call__(self, results: dict) -> dict:
        tasks = results['tasks']
        labels = {name: label_of(self.pattern, task) for name, task in tasks.items()}
        return self.pack.transform(sample_of(self.pattern, labels, tasks))


def _with_pipeline(dataset: Any, pipeline: Callable) -> Any:
    """Copy the wrappers of a dataset, and what is inside with another pipeline."""
    twin = copy.copy(dataset)
    if isinstance(dataset, PartialLabelDataset):
        twin.pipeline = pipeline
        return twin
    for name, held in _held(dataset):
        setattr(twin, name, {key: _with_pipeline(one, pipeline) for key, one in held.items()}
                if isinstance(held, Mapping) else
                [_with_pipeline(one, pipeline) for one in held] if isinstance(held, list) else
                _with_pipeline(held, pipeline))
    return twin


def _held(dataset: Any) -> Iterator[tuple[str, Any]]:
    yield from ((name, held) for name in INSIDE if (held := getattr(dataset, name, None)))


def _tree(dataset: Any) -> Iterator[Any]:
    """The dataset and all inside of it."""
    yield dataset
    for _, held in () if isinstance(dataset, PartialLabelDataset) else _held(dataset):
        for one in held.values() if isinstance(held, Mapping) else (
                held if isinstance(held, list) else [held]):
            yield from _tree(one)


def _foreign(parts: list[tuple[str, Any]]) -> Iterator[str]:
    for key, part in parts:
        while isinstance(part, partial):
            part = part.func
        owner = part if hasattr(part, '__qualname__') else type(part)
        if owner.__module__.partition('.')[0] not in KNOWN:
            yield f'{key} {owner.__module__}.{owner.__qualname__}'
