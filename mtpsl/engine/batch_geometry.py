"""Tests on a pattern whether code of the user's that makes batches keeps labels on images.

The package's own collating and preprocessing are not tested.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from mmengine.runner import Runner

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms import PackMultiTaskInputs
from mtpsl.datasets.transforms.probe import SIZE, fault_of, label_of, pattern_of, sample_of
from mtpsl.tasks import Task

DRAWS, BATCH = 16, 2
KNOWN = ('mtpsl', 'mmengine', 'torch')  # packages whose parts move nothing


def check_batch_geometry(runner: Runner) -> None:
    """Raise ValueError if a collate_fn or a data_preprocessor moves images without their labels."""
    model = getattr(runner.model, 'module', runner.model)
    collate: Any = getattr(runner.train_dataloader, 'collate_fn', None)
    foreign = list(_foreign(dict(collate_fn=collate, data_preprocessor=model.data_preprocessor)))
    if not foreign or not hasattr(model, 'tasks'):
        return
    preprocess = copy.deepcopy(model.data_preprocessor).cpu()
    if fault := batch_fault(collate, preprocess, model.tasks):
        raise ValueError(f'the {" or the ".join(foreign)} {fault}. What moves the images of a '
                         'batch must move the maps in gt of its data_samples too')


def _foreign(parts: Mapping[str, Any]) -> Iterator[str]:
    for key, part in parts.items():
        while isinstance(part, partial):
            part = part.func
        owner = part if hasattr(part, '__qualname__') else type(part)
        if part is not None and owner.__module__.partition('.')[0] not in KNOWN:
            yield f'{key} {owner.__module__}.{owner.__qualname__}'


def batch_fault(collate: Callable, preprocess: Callable, tasks: Mapping[str, Task]) -> str:
    """Describe how training batches of a pattern misalign image and labels; '' if they do not.

    All images of a batch are alike, so blends of them are as well. Batches that the code cannot
    make, such as of several views, are not judged.

    Args:
        collate: makes a batch of packed samples.
        preprocess: the model's data preprocessor.
        tasks: task name -> task.
    """
    pack = PackMultiTaskInputs()
    for number in range(DRAWS):
        pattern = pattern_of(SIZE, number % 2)
        labels = {name: label_of(pattern, task) for name, task in tasks.items()}
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                batch = preprocess(collate([pack.transform(sample_of(pattern, {
                    name: label.copy() for name, label in labels.items()}, tasks))
                    for _ in range(BATCH)]), True)
                made = [dict(inputs=image, data_samples=sample)
                        for image, sample in zip(batch['inputs'], batch['data_samples'])]
            except Exception:  # made for other batches; of the real ones the training tells
                return ''
        if fault := next((found for one in made if (found := fault_of(one, tasks, pattern))), ''):
            return fault
    return ''
