"""Tries code of the user's that makes batches, on a pattern, before a training.

The package's own datasets, collating and preprocessing are not tried.
"""

import copy
import warnings
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from mmengine.runner import Runner
from mmengine.runner.runner import _SlicedDataset
from torch import Tensor

from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms import PackMultiTaskInputs
from mtpsl.datasets.transforms.probes.probe import (
    PROBE,
    SIZE,
    cell_signs,
    equal_maps,
    fault_of,
    label_of,
    maps_of,
    pattern_of,
    sample_of,
)
from mtpsl.datasets.walks import inside_of
from mtpsl.engine.ranks import bare_model

DRAWS, BATCH, AGAIN = 16, 2, 3
OTHERS = 2  # parts of an image that are of another one
KNOWN = ('mtpsl', 'mmengine', 'torch')  # packages whose parts are not tried
SIDES = 48, 640  # least and most of a pattern that is as large as a batch
MASKED = 0.75  # share of one value in an image of which too little is left


def own_batch_doubts(runner: Runner) -> Iterator[str]:
    """Where own code keeps a state, or puts images together in another way than labels.

    Raises:
        ValueError: it moves images without their labels.
    """
    model = bare_model(runner)
    loader = runner.train_dataloader
    dataset = loader.dataset
    if isinstance(dataset, _SlicedDataset):  # of num_batch_per_epoch
        dataset = dataset._dataset
    try:
        foreign = list(dict.fromkeys(_foreign([
            *(('dataset', one) for one in _tree(dataset)),
            ('collate_fn', loader.collate_fn), ('data_preprocessor', model.data_preprocessor)])))
        trial = Trial(dataset, loader.collate_fn, model.data_preprocessor,
                      model.tasks) if foreign else None
    except Exception:  # it cannot be copied, and its state is to stay
        return
    named = f'the {" or the ".join(foreign)}'
    if trial and (fault := trial.fault()):
        raise ValueError(f'{named} {fault}. What moves an image must move the maps in gt of its '
                         'data_samples too')
    for told in filter(None, (trial.kept(), trial.strange()) if trial else ()):
        yield f'{named} {told}'


class Trial:
    """Makes training batches of a pattern by copies of what makes them.

    Batches are not judged that cannot be made so: of several views, or of a dataset whose samples
    come from elsewhere than a pipeline.

    Args:
        dataset: the training data.
        collate: makes a batch of its samples.
        preprocess: the model's data preprocessor.
        tasks: those of the model, whose labels are looked at.
    """

    def __init__(self, dataset: Any, collate: Callable, preprocess: Any,
                 tasks: Collection[str]) -> None:
        size = getattr(preprocess, 'size', SIZE)
        fits = len(size) == 2 and all(SIDES[0] <= side <= SIDES[1] for side in size)
        self._size = tuple(size) if fits else SIZE
        self._packed = _Packed()
        self._dataset = _copied(dataset, self._packed)
        self._collate = copy.deepcopy(collate)
        self._preprocess = copy.deepcopy(preprocess).cpu()
        self._tasks = tasks

    def fault(self) -> str:
        """Describe how image and labels are misaligned; '' if they are not.

        All images of a batch are alike, so blends of them are as well.
        """
        for number in range(DRAWS):
            for one in self._batch(number, number % 2):
                if found := fault_of(one, self._packed.pattern):
                    return found
        return ''

    def strange(self) -> str:
        """Describe that parts show another image than their labels belong to; '' if none do."""
        for number in range(DRAWS):
            for one in self._batch(number, number % 2, signed=True):
                signs = list(cell_signs(one['img'], one['gt']))
                if sorted(map(signs.count, (-1, 0, 1)))[1] >= OTHERS:  # of two kinds
                    return ('gives images of which parts are of another image than their labels, '
                            'as where those of a mosaic are put together in another order, or '
                            'where a part is pasted without its labels; where greys of a part are '
                            'inverted, all is well')
        return ''

    def kept(self) -> str:
        """Describe what is kept from batch to batch; '' if nothing is."""
        first, *again = (self._values(0) for _ in range(AGAIN))
        if any(not equal_maps(one, first) for one in again):
            return ('makes another batch of the same images and seed when it is called again, so '
                    'it keeps something from call to call, such as a random generator: that '
                    'depends on num_workers, and --resume does not go on with it. np.random, '
                    'random and torch are seeded by (seed, epoch, image) inside of transforms')
        if first and equal_maps(self._values(1), first):
            return ('gives what it gave before of an image that the pipeline has changed: if it '
                    'keeps samples, their augmentation is the same in all epochs')
        return ''

    def _values(self, pattern: int) -> list[np.ndarray]:
        return [value for one in self._batch(0, pattern)
                for value in (one['img'], *one['gt'].values())]

    def _batch(self, number: int, pattern: int, signed: bool = False) -> list[dict]:
        """Make the images and labels of a batch; [] if they are not of the pattern."""
        self._packed.pattern, self._packed.signed = pattern_of(self._size, pattern), signed
        with seeded(SeededIndex(0, 0, number)), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                places = (BATCH * number + one for one in range(BATCH))
                batch = self._preprocess(self._collate([
                    self._dataset[SeededIndex(0, 0, place % len(self._dataset))]
                    for place in places]), True)
                made = [self._maps(*pair) for pair in zip(batch['inputs'], batch['data_samples'])]
            except Exception:  # such as code for views; of real batches the training tells
                return []
        return [one for one in made if one]

    def _maps(self, image: Tensor, sample: Any) -> dict:
        if not sample.img_id.endswith(PROBE):
            return {}
        pixels, maps = maps_of(dict(inputs=image.detach().float().cpu(),
                                    data_samples=sample.cpu()))
        counts = np.unique(pixels[..., 0].round(3), return_counts=True)[1]
        labels = {name: label for name, label in maps.items() if name in self._tasks}
        return {} if counts.max() > MASKED * counts.sum() else dict(img=pixels, gt=labels)


class _Packed:
    """A pattern in the place of a pipeline: nothing is read.

    Attributes:
        pattern: what all images are.
        signed: make every second image, by chance, the negative, so that parts of two differ.
    """

    pattern: np.ndarray
    signed: bool

    def __init__(self) -> None:
        self.pack = PackMultiTaskInputs()

    def __call__(self, results: dict) -> dict:
        tasks = results['tasks']
        digest = zlib.crc32(str(results.get('img_id')).encode())
        pattern = -self.pattern if self.signed and digest.bit_count() % 2 else self.pattern
        labels = {name: label_of(pattern, task) for name, task in tasks.items()}
        return self.pack.transform(sample_of(pattern, labels, tasks))


def _copied(dataset: Any, pipeline: Callable) -> Any:
    """Copy a dataset and what is inside of it, but for arrays, with another pipeline."""
    if isinstance(dataset, PartialLabelDataset):
        memo: dict[int, Any] = {id(dataset.pipeline): pipeline}
    else:
        memo = {id(one): _copied(one, pipeline) for one in inside_of(dataset)}
    waiting, seen = [vars(dataset)], set(memo)
    while waiting:  # images that are kept in memory are not doubled
        for one in waiting.pop().values():
            if id(one) in seen or isinstance(one, (type, ModuleType)) or callable(one):
                continue
            seen.add(id(one))
            if isinstance(one, (np.ndarray, Tensor)):
                memo[id(one)] = one
            elif isinstance(one, (list, tuple, Mapping)) or hasattr(one, '__dict__'):
                waiting.append(one if isinstance(one, Mapping) else
                               dict(enumerate(one)) if isinstance(one, (list, tuple)) else
                               vars(one))
    return copy.deepcopy(dataset, memo)


def _tree(dataset: Any) -> Iterator[Any]:
    """The dataset and all inside of it."""
    yield dataset
    for one in () if isinstance(dataset, PartialLabelDataset) else inside_of(dataset):
        yield from _tree(one)


def _foreign(parts: list[tuple[str, Any]]) -> Iterator[str]:
    for key, part in parts:
        while isinstance(part, partial):
            part = part.func
        owner = part if hasattr(part, '__qualname__') else type(part)
        if owner.__module__.partition('.')[0] not in KNOWN:
            yield f'{key} {owner.__module__}.{owner.__qualname__}'
