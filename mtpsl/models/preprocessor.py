"""Collate samples into a batch on the device: normalise, pad around the centre, stack."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseDataPreprocessor
from mmengine.structures import PixelData
from torch import Tensor

from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task, build_tasks

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # R, G, B


@MODELS.register_module()
class MultiTaskDataPreprocessor(BaseDataPreprocessor):
    """Normalise images and pad them, centred, to one size; pad training labels accordingly.

    The padding is 0 after normalisation in images and ``ignore_value`` in labels. At test time
    labels keep their size, and the padding of predictions is removed instead (``padding`` in the
    metainfo: left, right, top, bottom in pixels), so padding never counts.

    Args:
        tasks: task name -> task or its config.
        mean: of R, G and B in 0..255; of B, G and R without ``bgr_to_rgb``.
        std: standard deviation, likewise.
        bgr_to_rgb: whether to convert images from BGR to RGB.
        size: (H, W), smallest size of the batch.
        size_divisor: H and W of the batch are multiples of this.

    Raises:
        ValueError: mean or std is not three numbers in 0..255 (such as those of images in 0..1), or
            a size is below 1.
    """

    def __init__(self, tasks: Mapping[str, dict | Task],
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375), bgr_to_rgb: bool = True,
                 size: tuple[int, int] = (512, 512), size_divisor: int = 32) -> None:
        super().__init__(non_blocking=True)
        _check_scale(mean, std)
        _check_order(mean, bgr_to_rgb)
        if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
            raise ValueError(f'size must be (height, width), got {size!r}')
        if size_divisor < 1 or min(size) < 1:
            raise ValueError(f'size and size_divisor must be at least 1, got {size} and '
                             f'{size_divisor}')
        built = build_tasks(tasks)
        self.ignore_value = {name: task.ignore_value for name, task in built.items()}
        self.scored_on_cpu = {name for name, task in built.items() if task.stats_on_cpu}
        self.register_buffer('mean', torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.bgr_to_rgb = bgr_to_rgb
        self.size = tuple(size)
        self.size_divisor = size_divisor

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collate a batch.

        Args:
            data: ``inputs``, a list of (3, h, w) uint8 images or a batch (B, 3, h, w), and
                ``data_samples``, a list of samples or None. With several views, both are lists
                with one such entry per view; they become one batch, view by view.
            training: whether to pad the labels too.

        Returns:
            ``inputs`` (B, 3, H, W) float32 and ``data_samples``.

        Raises:
            ValueError: at test time, an image larger than ``size`` would share a batch with an
                image of another padded size: its prediction would depend on the batch.
        """
        if 'inputs' not in data:
            raise KeyError(f'a batch has no inputs, only {", ".join(data)}: the pipeline must end '
                           'with PackMultiTaskInputs or MultiView')
        data = self._to_device(data, training)
        images, samples = data['inputs'], data.get('data_samples')
        if not isinstance(images[0], Tensor) or images[0].ndim == 4:  # several views
            images = torch.cat(images) if _alike(images) else [
                image for view in images for image in view]
            samples = [sample for view in samples or () for sample in view]
        height, width = self.padded_size(images)
        if not training:
            self._check_alike(images, (height, width))
        paddings = [centred(image.shape[-2:], height, width) for image in images]
        groups = {(image.shape, padding) for image, padding in zip(images, paddings)}
        if len(groups) == 1:  # normalise the whole batch at once
            images = images if isinstance(images, Tensor) else torch.stack(images)
            inputs = F.pad(self._normalise(images), paddings[0])
        else:
            inputs = torch.cat([F.pad(self._normalise(image[None]), padding)
                                for image, padding in zip(images, paddings)])
        for sample, padding in zip(samples or (), paddings):
            sample.set_metainfo(dict(padding=padding, batch_shape=(height, width)))
            if training and any(padding):
                sample.gt = self._pad_labels(sample, padding)
        return dict(inputs=inputs, data_samples=samples)

    def _to_device(self, data: dict, training: bool) -> dict:
        """Copy data to the device; at test time keep labels that are scored on the CPU."""
        given = [] if training or self.device.type == 'cpu' else data.get('data_samples') or []
        labels = [sample.gt if 'gt' in sample else PixelData() for sample in given]
        sent = [sample.new(**dict(sample.items()) | dict(gt=PixelData(**{
            name: label for name, label in gt.items() if name not in self.scored_on_cpu})))
            for sample, gt in zip(given, labels)]
        cast = self.cast_data(data | dict(data_samples=sent) if sent else data)
        for sample, gt in zip(cast['data_samples'] if sent else (), labels):
            for name in self.scored_on_cpu.intersection(gt.keys()):
                setattr(sample.gt, name, gt.get(name))
        return cast

    def _check_alike(self, images: Sequence[Tensor], batch: tuple[int, int]) -> None:
        for image in images:
            if self.padded_size([image]) != batch:
                largest = max((tuple(other.shape[-2:]) for other in images), key=max)
                raise ValueError(
                    f'test images of {largest} and {tuple(image.shape[-2:])} pixels share a batch '
                    f'but not their padded size; set data_preprocessor.size (now {self.size}) to '
                    'the largest image, or test with batch_size=1')

    @property
    def least_size(self) -> tuple[int, int]:
        """Return the smallest (H, W) of a batch, a multiple of the divisor."""
        return self.padded_size(())

    def padded_size(self, images: Sequence[Tensor]) -> tuple[int, int]:
        def side(axis: int, least: int) -> int:
            longest = max((least, *(image.shape[axis] for image in images)))
            return -(-longest // self.size_divisor) * self.size_divisor

        return side(-2, self.size[0]), side(-1, self.size[1])

    def _normalise(self, images: Tensor) -> Tensor:
        if self.bgr_to_rgb:
            images = images.flip(1)
        return (images - self.mean) / self.std

    def _pad_labels(self, sample: MultiTaskSample, padding: tuple[int, ...]) -> PixelData:
        return PixelData(**{name: F.pad(label, padding, value=self.ignore_value[name])
                            for name, label in sample.gt.items()})


def _check_order(mean: Sequence[float], bgr_to_rgb: bool) -> None:
    """Warn if the mean is ImageNet's in the wrong order of channels."""
    if np.allclose(mean, IMAGENET_MEAN[::-1 if bgr_to_rgb else 1], atol=0.5):
        got, given = ('R, G, B', 'B, G, R') if bgr_to_rgb else ('B, G, R', 'R, G, B')
        print_log(f"data_preprocessor.mean {list(mean)} is ImageNet's in the order {given}, but "
                  f'with bgr_to_rgb={bgr_to_rgb} the model gets images in {got}: give mean and std '
                  'in that order', 'current', logging.WARNING)


def _alike(views: Sequence) -> bool:
    return all(isinstance(view, Tensor) and view.shape[1:] == views[0].shape[1:] for view in views)


def _check_scale(mean: Sequence[float], std: Sequence[float]) -> None:
    for name, values in (('mean', mean), ('std', std)):
        if len(values) != 3:
            raise ValueError(f'{name} must be three numbers, of R, G and B, got {values}')
    if min(std) <= 0:
        raise ValueError(f'std must be positive, got {std}')
    if min(mean) < 0 or max(*mean, *std) > 255:
        raise ValueError(f'mean and std must be of 0..255, got {mean} and {std}')
    # mean 0 and std 1 (no normalisation) are allowed.
    if 0 < max(mean) <= 1 or min(std) < 1:
        raise ValueError(f'mean and std must be of images in 0..255, got {mean} and {std}: are '
                         'they of 0..1? Multiply both by 255')


def centred(shape: Sequence[int], height: int, width: int) -> tuple[int, int, int, int]:
    """Return the padding (left, right, top, bottom) that centres an image in H x W."""
    vertical, horizontal = height - shape[0], width - shape[1]
    left, top = horizontal // 2, vertical // 2
    return left, horizontal - left, top, vertical - top
