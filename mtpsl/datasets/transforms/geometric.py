"""Random geometric transforms of an image and its label maps.

They change ``img``, (H, W, 3) uint8; ``gt``, task name -> (H, W) or (H, W, 3) map, by the methods
of its task in ``tasks``; and ``img_shape``, (H, W).
"""

from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import NamedTuple

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import Task


@TRANSFORMS.register_module()
class RandomScale(BaseTransform):
    """Zoom by a uniformly drawn factor: image bilinear, labels nearest, depth divided by it.

    Args:
        scale_range: smallest and largest factor, > 0.
    """

    def __init__(self, scale_range: tuple[float, float] = (0.5, 2.0)) -> None:
        if not (_is_pair(scale_range, Real) and 0 < scale_range[0] <= scale_range[1]):
            raise ValueError('RandomScale: scale_range must be (low, high) with 0 < low <= high, '
                             f'got {scale_range!r}')
        self.scale_range = scale_range[0], scale_range[1]

    def transform(self, results: dict) -> dict:
        """Zoom ``img`` and ``gt`` in place; ``img_shape`` becomes the new (H', W')."""
        scale = float(np.random.uniform(*self.scale_range))  # a NumPy float64 would widen labels
        size = tuple(max(round(side * scale), 1) for side in results['img'].shape[:2])
        results['img'] = mmcv.imresize(results['img'], size[::-1], interpolation='bilinear')
        results['img_shape'] = size
        _forget_zoom(results)
        for name, label in labels(self, results).items():
            task = results['tasks'][name]
            results['gt'][name] = task.rescale(task.resize(label, size), scale)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale_range={self.scale_range})'


class Zoom(NamedTuple):
    """The rectangle of the original image that the current image shows, in original pixels.

    Attributes:
        top: first row.
        bottom: one past the last row.
        left: first column.
        right: one past the last column.
        scale: factor by which depth was divided.
    """

    top: int
    bottom: int
    left: int
    right: int
    scale: float


@TRANSFORMS.register_module()
class RandomScaleCrop(BaseTransform):
    """Crop a rectangle of 1/r of the image's sides and zoom it to the image's size.

    The augmentation of MTAN and XTC. r is one of ``scales`` and the position is uniform. The image
    is resized bilinearly, labels as their tasks define (normals bilinearly and renormalised, others
    nearest); depth is divided by r, inverse depth multiplied. Pixels are areas, as in OpenCV; the
    published code aligns corner centres, a difference of a fraction of a pixel.

    Args:
        scales: the zoom factors r to draw from, each at least 1.
    """

    def __init__(self, scales: Sequence[float] = (1.0, 1.2, 1.5)) -> None:
        if not (isinstance(scales, Sequence) and scales
                and all(isinstance(scale, (float, Real)) and scale >= 1 for scale in scales)):
            raise ValueError('RandomScaleCrop: scales must be numbers of at least 1 such as '
                             f'(1.0, 1.2, 1.5), got {scales!r}')
        self.scales = tuple(scales)

    def transform(self, results: dict) -> dict:
        """Zoom ``img`` and ``gt`` in place; their size stays. Add ``zoom``, a :class:`Zoom`."""
        scale = float(self.scales[np.random.randint(len(self.scales))])
        size = results['img'].shape[:2]
        place = _random_place(size, tuple(max(int(side / scale), 1) for side in size))
        rows, columns = place
        zoom = Zoom(rows.start, rows.stop, columns.start, columns.stop, scale)
        # After another geometric transform the crop is no rectangle of the original image.
        whole = Zoom(0, size[0], 0, size[1], 1.0)
        results['zoom'] = zoom if results.get('zoom', whole) == whole else None
        if scale == 1:
            return results
        results['img'] = mmcv.imresize(results['img'][place], size[::-1],
                                       interpolation='bilinear')
        for name, label in labels(self, results).items():
            task = results['tasks'][name]
            zoomed = task.resize(label[place], size, task.zoom_interpolation)
            results['gt'][name] = task.rescale(zoomed, scale)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scales={self.scales})'


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Crop a random rectangle that no class dominates.

    If the sample is labelled for ``balance_task`` (or the dataset reads that label for this use
    only, see ``crop_guide`` of :class:`~mtpsl.datasets.PartialLabelDataset`), up to ``tries``
    positions are drawn until one is accepted: at most ``max_class_ratio`` of its known pixels
    belong to one class. A position without known pixels is rejected. If all are rejected, one more
    is drawn and used.

    Args:
        size: (height, width) of the crop; smaller if the image is smaller.
        balance_task: task whose class map decides. Any position is accepted for None, or for a task
            that the dataset has but the config leaves out (as single-task configs do).
        max_class_ratio: largest share of one class, in (0, 1].
        tries: number of positions to try, at least 1.
    """

    def __init__(self, size: tuple[int, int] = (512, 512), balance_task: str | None = 'semseg',
                 max_class_ratio: float = 0.75, tries: int = 10) -> None:
        if not (_is_pair(size, Integral) and min(size) >= 1):
            raise ValueError('RandomCrop: size must be (height, width) of at least 1, got '
                             f'{size!r}')
        if not (isinstance(max_class_ratio, (float, Real)) and 0 < max_class_ratio <= 1):
            raise ValueError('RandomCrop: max_class_ratio must be in (0, 1], got '
                             f'{max_class_ratio!r}')
        if not (isinstance(tries, (int, Integral)) and tries >= 1):
            raise ValueError('RandomCrop: tries must be an integer of at least 1, got '
                             f'{tries!r}')
        self.size = tuple(size)
        self.balance_task = balance_task
        self.max_class_ratio = max_class_ratio
        self.tries = tries
        self._left_out: set[str] = set()

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and ``gt``; ``img_shape`` becomes the crop's (H', W').

        Raises:
            ValueError: see :meth:`check_tasks`.
        """
        self._check_balance(results['tasks'])
        rows, columns = self._choose(results)
        results['img'] = results['img'][rows, columns]
        results['img_shape'] = results['img'].shape[:2]
        _forget_zoom(results)
        forget_withheld(results)  # used above for the crop only
        for name, label in labels(self, results).items():
            results['gt'][name] = label[rows, columns]
        return results

    def _choose(self, results: dict) -> tuple[slice, slice]:
        shape = results['img'].shape[:2]
        if self.balance_task in labels(self, results):
            task, classes = (results[key][self.balance_task] for key in ('tasks', 'gt'))
            for _ in range(self.tries):
                place = _random_place(shape, self.size)
                if self._balanced(classes[place], task.ignore_value):
                    return place
        return _random_place(shape, self.size)

    def check_tasks(self, tasks: Mapping[str, Task], known: Collection[str]) -> None:
        """Raise ValueError if ``balance_task`` is unknown or has no class map.

        Args:
            tasks: task name -> task, as in the config.
            known: names of all tasks that the dataset has labels for.
        """
        self._left_out = set(known) - set(tasks)
        self._check_balance(tasks)

    def _check_balance(self, tasks: Mapping[str, Task]) -> None:
        maps = [name for name, task in tasks.items() if task.label_dtype is np.uint8]
        if self.balance_task not in (None, *maps, *self._left_out):
            raise ValueError('RandomCrop: balance_task must be None or a task with a class map '
                             f'({", ".join(maps) or "none here"}), got {self.balance_task!r}')

    def _balanced(self, classes: np.ndarray, unknown: int) -> bool:
        counts = np.bincount(classes.ravel(), minlength=unknown + 1)
        counts[unknown] = 0
        return 0 < counts.max() <= self.max_class_ratio * counts.sum()

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(size={self.size}, balance_task={self.balance_task!r}, '
                f'max_class_ratio={self.max_class_ratio}, tries={self.tries})')


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Mirror left to right with probability ``prob``; the x of normals changes sign.

    Args:
        prob: probability, in [0, 1].
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not (isinstance(prob, (float, Real)) and 0 <= prob <= 1):
            raise ValueError(f'RandomFlip: prob must be a number in [0, 1], got {prob!r}')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Mirror ``img`` and ``gt``, or leave them unchanged."""
        if np.random.rand() < self.prob:
            results['img'] = mmcv.imflip(results['img'])
            _forget_zoom(results)
            for name, label in labels(self, results).items():
                results['gt'][name] = results['tasks'][name].flip(label)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'


def labels(step: BaseTransform, results: dict) -> dict[str, np.ndarray]:
    """Return the label maps of a sample by task; raise ValueError before LoadLabels has run."""
    if 'gt' not in results:
        raise ValueError(f'{type(step).__name__} moves image and labels, and must come after '
                         'LoadLabels in the pipeline')
    return results['gt']


def forget_withheld(results: dict) -> None:
    """Drop withheld labels, which were read for the choice of a crop only."""
    for name in results.get('withheld', ()):
        results['gt'].pop(name, None)


def _forget_zoom(results: dict) -> None:
    """Set ``zoom`` to None: a :class:`Zoom` cannot describe other geometric changes."""
    if 'zoom' in results:
        results['zoom'] = None


def _random_place(shape: Sequence[int], size: Sequence[int]) -> tuple[slice, slice]:
    """Draw rows and columns of a rectangle of (at most) ``size`` within (H, W)."""
    sides = [min(side, wanted) for side, wanted in zip(shape, size)]
    starts = [np.random.randint(whole - side + 1) for whole, side in zip(shape, sides)]
    rows, columns = (slice(start, start + side) for start, side in zip(starts, sides))
    return rows, columns


def _is_pair(values: object, kind: type) -> bool:
    return (isinstance(values, Sequence) and len(values) == 2
            and all(isinstance(value, kind) for value in values))
