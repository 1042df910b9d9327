"""Base class of the dense tasks: the interface that the rest of the project uses.

:mod:`.auxiliary` has the part that only methods with auxiliary objectives use.

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

from .auxiliary import AuxiliaryMaps, masked_mean, per_sample
from .seen import Doubt, Seen
from .stored import whole_numbers

__all__ = ['INTERPOLATIONS', 'UNKNOWN_COLOUR', 'Label', 'Task', 'masked_mean', 'per_sample']

UNKNOWN_COLOUR = (70, 90, 130)  # RGB, for pictures whose own colours do not contain it
INTERPOLATIONS = dict(nearest=cv2.INTER_NEAREST, bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC)

Label = TypeVar('Label', np.ndarray, Tensor)


class Task(AuxiliaryMaps, ABC):
    """One dense prediction task.

    A map has one of three forms. *Logits* leave the network, (N, C, H, W). The public *prediction*
    is ``activate(logits)``: probabilities, unit vectors, metres. The *label form*,
    ``decode(prediction)``, is that of a label: class ids, foreground probability, unit vectors,
    metres. A withheld label is an absent key of a sample; an unknown pixel holds ``ignore_value``
    inside the map. The two never mix.

    Args:
        loss_weight: weight of the task in the total loss.

    Attributes:
        name: name of the task, set by :func:`mtpsl.tasks.build_tasks`.
        channels: C, number of channels of the logits.
        mixed: advice if the pictures of one dataset are encoded in several ways.
        label_dtype: NumPy type of label maps; uint8 for class ids and for 0 and 1.
        ignore_value: value of an unknown pixel, also used for padding.
        primary_metric: name of the metric that represents the task (and enters Delta_m).
        higher_is_better: direction of the primary metric.
        beside_figures: arguments that do not change the figures of given predictions and labels;
            of a task of your own, the loss's.
        stats_on_cpu: whether ``stats`` is slow and runs on the CPU, image by image, so that an
            evaluator may distribute it over processes.
        least_side: smallest allowed side of an image, in pixels.
        reader_interpolation: interpolation to resize a label file to the image's size.
        zoom_interpolation: interpolation of labels in
            :class:`~mtpsl.datasets.transforms.RandomScaleCrop`.
    """

    name: str = ''
    channels: int
    mixed: str = ''
    label_dtype: type = np.float32
    ignore_value: float
    primary_metric: str
    higher_is_better: bool
    beside_figures: tuple[str, ...] = ('loss_weight',)
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
        """Return c, the number of channels of the label map; computed once."""
        with torch.no_grad():
            return self.decode(self.activate(torch.zeros(1, self.channels, 1, 1))).shape[1]

    # ---------------------------------------------------------------- labels, NumPy (H, W[, 3])

    def from_png(self, pixels: np.ndarray) -> np.ndarray:
        """Decode a label saved as a picture, (H, W) or RGB (H, W, 3), to a label map.

        Raises:
            ValueError: the pixels cannot be decoded; always, if the task does not support pictures.
        """
        raise ValueError(f'{type(self).__name__} does not support label pictures '
                         '(from_png); save the map as .npy')

    def check_suffixes(self, suffixes: Collection[str]) -> None:  # noqa: B027, optional hook
        """Raise ValueError if label files of a suffix need an option that is not set.

        Args:
            suffixes: suffixes of a dataset's label files, ``'.png'`` and ``'.npy'``.
        """

    def from_palette(self, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """Decode a palette picture: (H, W) uint8 indices into (K, 3) RGB colours.

        Default: decode the indices like a grey picture.
        """
        return self.from_png(indices)

    def coding(self, pixels: np.ndarray, palette: np.ndarray | None = None) -> dict[str, str]:
        """Detect the encoding of a label picture: property -> value.

        If numbers can be encoded in several ways, all pictures of a dataset must use one: no two
        may have different values of a property. Arguments: those of :meth:`from_png`, or with a
        palette of :meth:`from_palette`. Empty if there is only one encoding, or if the task's
        options define it.
        """
        return {}

    def from_array(self, values: np.ndarray) -> np.ndarray:
        """Convert a label saved as an array, (H, W) or (H, W, C), to a label map.

        Raises:
            ValueError: the numbers cannot be converted; by default fractional ids, and integers
                for measured values, as their unit is unknown.
        """
        if np.issubdtype(self.label_dtype, np.integer):
            return whole_numbers(values)
        if values.dtype.kind != 'f':
            raise ValueError('measured values must be floats in the unit of their task, got '
                             f'{values.dtype}: what is one step?')
        return values

    def translate(self, label: np.ndarray) -> np.ndarray:
        """Apply the task's options for stored values to a map decoded by a dataset."""
        return label

    def resize(self, label: np.ndarray, size: tuple[int, int],
               interpolation: str = 'nearest') -> np.ndarray:
        """Resize a label map (H, W) or (H, W, 3) to ``size`` = (H', W'); values do not change."""
        return cv2.resize(label, size[::-1], interpolation=INTERPOLATIONS[interpolation])

    def rescale(self, label: Label, scale: float | Tensor) -> Label:
        """Adapt the label's values to a zoom of the image by ``scale`` (depth is divided by it).

        Also for tensors (N, c, H, W), with scales (N, 1, 1, 1).
        """
        return label

    def flip(self, label: np.ndarray) -> np.ndarray:
        """Mirror a label map left to right, including its values (the x of normals is negated)."""
        return label[:, ::-1]

    def transpose(self, label: np.ndarray) -> np.ndarray:
        """Transpose a label map, including its values; with ``flip`` it makes all rotations."""
        return label.swapaxes(0, 1)

    def mark_ignored(self, label: np.ndarray) -> np.ndarray:
        """Set pixels without information to ``ignore_value``; last step of every pipeline."""
        return label

    def check(self, label: np.ndarray) -> None:  # noqa: B027, most maps need no check
        """Raise ValueError if a loaded label holds values that are invalid for the task."""

    def says_nothing(self, label: np.ndarray) -> np.ndarray:
        """Return where values (...) or vectors (..., 3) are unknown, or that nothing is there."""
        unknown = label == self.ignore_value
        return unknown.all(-1) if self.label_channels > 1 else unknown

    def doubt(self, seen: Seen) -> Doubt | None:
        """Explain why the labels are useless for training, or return None; they are as loaded."""
        if not seen.known:
            return Doubt('hold no known pixel', mute=True)
        if seen.copies:
            return Doubt('are one and the same map, whatever the image: was one file copied?')
        one = f'{seen.low:g}' if seen.low == seen.high else 'one vector'
        return Doubt(f'hold {one} wherever they are known', mute=True) if seen.alike else None

    def idle(self, seen: Seen) -> str:
        """Explain why labels teach nothing, though they hold known pixels.

        Returns the end of a sentence that starts "the labels of ... "; '' by default.
        """
        return ''

    def hidden(self, seen: Seen) -> str:
        """Explain why pictures would show nothing of labels, likewise."""
        return ''

    def unlike(self, learned: Seen, tested: Seen) -> str:
        """Explain why evaluation labels seem to be encoded differently from training labels.

        Returns the end of a sentence that starts "the labels of ... "; '' if they seem equal.
        Default: :meth:`two_conventions`; an override may also compare what the labels show.
        """
        return self.two_conventions(learned, tested, ('training', 'evaluation'))

    def two_conventions(self, one: Seen, other: Seen, names: tuple[str, str]) -> str:
        """Explain why two sets of labels seem to follow two conventions, whatever they show.

        Args:
            one: labels of the set that the first name means.
            other: labels of the set that the second name means.
            names: names of the two for the text.

        Returns the end of a sentence that starts "the labels of ... "; '' if they seem equal.
        """
        return ''

    # ---------------------------------------------------------------- tensors

    @abstractmethod
    def valid(self, label: Tensor) -> Tensor:
        """Return the known pixels of labels (N, c, H, W) as (N, 1, H, W) bool."""

    @abstractmethod
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the unweighted loss of each sample.

        Args:
            logits: (N, C, H, W).
            label: (N, c, H, W); unknown pixels hold ``ignore_value``.

        Returns:
            (N,) losses; 0 for a sample without known pixels. Callers pass them to
            ``per_sample``, which refuses another shape.
        """

    @abstractmethod
    def activate(self, logits: Tensor) -> Tensor:
        """Convert logits (N, C, H, W) to the prediction; the only place for a softmax."""

    def decode(self, prediction: Tensor) -> Tensor:
        """Convert a prediction to the label form, (N, c, H, W)."""
        return prediction

    def mirror(self, prediction: Tensor) -> Tensor:
        """Mirror predictions (N, C, H, W) left to right, like :meth:`flip` for labels."""
        return prediction.flip(-1)

    def from_mean(self, mean: Tensor) -> Tensor:
        """Convert a mean of predictions, (N, C, H, W), to a prediction (renormalise vectors)."""
        return mean

    # ---------------------------------------------------------------- metrics

    @abstractmethod
    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Return the statistics of each image; those of all shards can be stacked or summed.

        Args:
            prediction: (N, C, H, W), the result of ``activate``.
            label: (N, c, H, W) at the same resolution.

        Returns:
            (N, K) float64 on the prediction's device, computed without a device synchronisation
            (on the CPU where ``stats_on_cpu``).
        """

    @abstractmethod
    def score(self, stats: Tensor) -> dict[str, float]:
        """Compute ``{metric: float}`` from the (N, K) statistics of all images.

        A metric is NaN if there is nothing to measure, such as no known pixel.
        """

    def class_scores(self, stats: Tensor) -> dict[str, float]:
        """Compute metrics per class, ``{'IoU.<class>': float}``; empty without classes."""
        return {}

    def confusion_matrix(self, stats: Tensor) -> Tensor | None:
        """Sum (N, K) statistics to (C, C) pixel counts, row = true class; None without classes."""
        return None

    # ---------------------------------------------------------------- pictures

    @abstractmethod
    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Render a map in label form, (c, H, W), as an RGB picture (H, W, 3) uint8."""

    def legend(self, label: np.ndarray) -> dict[str, tuple[int, int, int]]:
        """Return ``{name: RGB}`` for what a map in label form shows."""
        return {}
