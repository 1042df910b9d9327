"""Base class of the dense tasks: everything that the rest of the project asks of one.

What only methods with auxiliary objectives ask is in :mod:`.auxiliary`.

Shapes: N samples, C channels of the logits, c channels of the label map, H x W pixels,
K statistics per image.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from functools import cached_property
from numbers import Real
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from .auxiliary import AuxiliaryMaps, masked_mean
from .seen import Doubt, Seen
from .stored import whole_numbers

__all__ = ['INTERPOLATIONS', 'UNKNOWN_COLOUR', 'Label', 'Task', 'masked_mean']

UNKNOWN_COLOUR = (70, 90, 130)  # RGB, where a picture's own colours leave none free
INTERPOLATIONS = dict(nearest=cv2.INTER_NEAREST, bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC)

Label = TypeVar('Label', np.ndarray, Tensor)


class Task(AuxiliaryMaps, ABC):
    """One dense prediction task.

    Three forms of a map are told apart. *Logits* leave the network, (N, C, H, W). The public
    *prediction* is ``activate(logits)``: probabilities, unit vectors, metres. The *label form*,
    ``decode(prediction)``, is how a label is written: class ids, foreground probability, unit
    vectors, metres. A label withheld is an absent key in a sample; an unknown pixel holds
    ``ignore_value`` inside the map. The two never mix.

    Args:
        loss_weight: the task's weight in the total loss.

    Attributes:
        name: the task's address, given by :func:`mtpsl.tasks.build_tasks`.
        channels: C, channels of the logits.
        mixed: what to do about pictures of one set that are written in several ways.
        label_dtype: type of a label map's values: class ids or 0 and 1 are bytes.
        ignore_value: value of an unknown pixel, also used for padding.
        primary_metric: name of the metric that stands for the task (and enters Delta_m).
        higher_is_better: direction of the primary metric.
        stats_on_cpu: True where ``stats`` is long work on the CPU, image by image, which an
            evaluator may spread over processes.
        least_side: pixels that a side of an image must have at least.
        reader_interpolation: how a reader resizes a label file whose size is not the image's.
        zoom_interpolation: how :class:`~mtpsl.datasets.transforms.RandomScaleCrop` resizes labels.
    """

    name: str = ''
    channels: int
    mixed: str = ''
    label_dtype: type = np.float32
    ignore_value: float
    primary_metric: str
    higher_is_better: bool
    stats_on_cpu: bool = False
    least_side: int = 1
    reader_interpolation: str = 'nearest'
    zoom_interpolation: str = 'nearest'

    def __init__(self, loss_weight: float = 1.0) -> None:
        if not (isinstance(loss_weight, (float, Real)) and loss_weight >= 0):
            raise ValueError(f'{type(self).__name__}: loss_weight must be >= 0, got '
                             f'{loss_weight!r}')
        self.loss_weight = loss_weight

    @cached_property
    def label_channels(self) -> int:
        """c, channels of the label map: those of a decoded prediction, worked out once."""
        with torch.no_grad():
            return self.decode(self.activate(torch.zeros(1, self.channels, 1, 1))).shape[1]

    # ---------------------------------------------------------------- labels, NumPy (H, W[, 3])

    def from_png(self, pixels: np.ndarray) -> np.ndarray:
        """A label saved as a picture, (H, W) or RGB (H, W, 3) pixels as stored, as a label map.

        Raises:
            ValueError: pixels that cannot be decoded to a label; any, if the task does not say how.
        """
        raise ValueError(f'{type(self).__name__} does not say how a picture is read '
                         '(from_png); save the map as .npy')

    def check_suffixes(self, suffixes: Collection[str]) -> None:  # noqa: B027, most have no say
        """Raise ValueError where label files of a suffix need an option that is not given.

        Args:
            suffixes: those of a data set's label files, ``'.png'`` and ``'.npy'``.
        """

    def from_palette(self, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """The same of a palette picture: (H, W) uint8 indices into (K, 3) RGB colours.

        Here the indices are what is stored.
        """
        return self.from_png(indices)

    def coding(self, pixels: np.ndarray, palette: np.ndarray | None = None) -> dict[str, str]:
        """What a picture tells of how its numbers are written, a word for each matter.

        Where numbers may be written in several ways, all pictures of a set must be written in one:
        no two may say different words of one matter. Takes what :meth:`from_png`, or with a
        palette :meth:`from_palette`, did; empty where there is one way, or the task's options
        say which.
        """
        return {}

    def from_array(self, values: np.ndarray) -> np.ndarray:
        """A label saved as an array, (H, W) or (H, W, C) numbers, as a label map.

        Raises:
            ValueError: numbers that cannot be decoded to a label; here fractions for ids, and
                integers for measured values, whose unit is not known.
        """
        if np.issubdtype(self.label_dtype, np.integer):
            return whole_numbers(values)
        if values.dtype.kind != 'f':
            raise ValueError('measured values must be floats in the unit of their task, got '
                             f'{values.dtype}: what is one step?')
        return values

    def translate(self, label: np.ndarray) -> np.ndarray:
        """A map as a dataset decodes it, with what the task's options say of stored values."""
        return label

    def resize(self, label: np.ndarray, size: tuple[int, int],
               interpolation: str = 'nearest') -> np.ndarray:
        """Resize a label map (H, W) or (H, W, 3) to ``size`` = (H', W'), values unchanged."""
        return cv2.resize(label, size[::-1], interpolation=INTERPOLATIONS[interpolation])

    def rescale(self, label: Label, scale: float | Tensor) -> Label:
        """What zooming the image by ``scale`` does to the label's values (depth shrinks).

        Also of tensors (N, c, H, W), with (N, 1, 1, 1) scales.
        """
        return label

    def flip(self, label: np.ndarray) -> np.ndarray:
        """Mirror a label map left to right, values included (a normal's x changes sign)."""
        return label[:, ::-1]

    def transpose(self, label: np.ndarray) -> np.ndarray:
        """Swap rows and columns of a label map, values included; with ``flip`` all turns."""
        return label.swapaxes(0, 1)

    def mark_ignored(self, label: np.ndarray) -> np.ndarray:
        """Last step of every pipeline: write ``ignore_value`` where the map says nothing."""
        return label

    def check(self, label: np.ndarray) -> None:  # noqa: B027, most maps need no check
        """Raise ValueError where a label as read holds values that the task does not know."""

    def doubt(self, seen: Seen) -> Doubt | None:
        """Why nothing can be learned from the labels seen, or None; they are as read."""
        if not seen.known:
            return Doubt('hold no known pixel', mute=True)
        if seen.copies:
            return Doubt('are one and the same map, whatever the image: was one file copied?')
        one = f'{seen.low:g}' if seen.low == seen.high else 'one vector'
        return Doubt(f'hold {one} wherever they are known', mute=True) if seen.alike else None

    def unlike(self, learned: Seen, tested: Seen) -> str:
        """Why labels that are tested on seem to be written otherwise than those of training.

        To go on after "the labels of ... "; '' where they do not.
        """
        return ''

    # ---------------------------------------------------------------- tensors

    @abstractmethod
    def valid(self, label: Tensor) -> Tensor:
        """(N, c, H, W) labels to (N, 1, H, W) bool: the pixels that are known."""

    @abstractmethod
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Unweighted loss of each sample.

        Args:
            logits: (N, C, H, W).
            label: (N, c, H, W), unknown pixels hold ``ignore_value``.

        Returns:
            (N,) losses; 0 for a sample without a known pixel.
        """

    @abstractmethod
    def activate(self, logits: Tensor) -> Tensor:
        """(N, C, H, W) logits to the prediction; the only place for a softmax."""

    def decode(self, prediction: Tensor) -> Tensor:
        """Prediction to the label form, (N, c, H, W)."""
        return prediction

    def mirror(self, prediction: Tensor) -> Tensor:
        """Mirror predictions (N, C, H, W) left to right, as :meth:`flip` does labels."""
        return prediction.flip(-1)

    def from_mean(self, mean: Tensor) -> Tensor:
        """A mean of predictions, (N, C, H, W), as one itself (unit vectors are again)."""
        return mean

    # ---------------------------------------------------------------- metrics

    @abstractmethod
    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """The statistics of each image, summable or stackable over any sharding of the set.

        Args:
            prediction: prediction of N images, as ``activate`` returns it.
            label: (N, c, H, W) at the same resolution.

        Returns:
            (N, K) float64 on the prediction's device, computed without a device synchronisation
            (on the CPU where ``stats_on_cpu``).
        """

    @abstractmethod
    def score(self, stats: Tensor) -> dict[str, float]:
        """Metrics from the (N, K) statistics of all images: ``{metric: Python float}``.

        NaN where the set has nothing to measure, such as no known pixel.
        """

    def class_scores(self, stats: Tensor) -> dict[str, float]:
        """Metrics per class, ``{'IoU.<class>': float}``; empty for tasks without classes."""
        return {}

    def confusion_matrix(self, stats: Tensor) -> Tensor | None:
        """(C, C) pixels of the (N, K) statistics, row = true class; None without classes."""
        return None

    # ---------------------------------------------------------------- pictures

    @abstractmethod
    def colorize(self, label: np.ndarray) -> np.ndarray:
        """A map in label form, (c, H, W), as an RGB picture (H, W, 3) uint8."""

    def legend(self, label: np.ndarray) -> dict[str, tuple[int, int, int]]:
        """Legend of a map in label form: ``{name: RGB}`` of what it shows."""
        return {}
