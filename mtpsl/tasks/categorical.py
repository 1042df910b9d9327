"""Base class of tasks with one class per pixel: cross-entropy, confusion counts, palette."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .auxiliary import AGREEMENT, CONFIDENCE, ClassAuxMaps
from .base import Task, masked_mean
from .class_doubts import doubt_classes, undrawn, unlike_classes
from .class_list import check_names, check_palette, check_weights, mirror_order
from .lines import outlines
from .seen import Doubt, Seen
from .stored import (
    Stored,
    StoredValues,
    invalid_values,
    one_channel,
    shorten,
    used_indices,
    whole_numbers,
)

WHITE = (255, 255, 255)


class CategoricalTask(ClassAuxMaps, Task):
    """A task that classifies each pixel into one of C classes. Label: class id, 255 unknown.

    Args:
        class_names: names of the classes, in the order of their ids.
        palette: one RGB colour per class.
        loss_weight: see :class:`Task`.
        absent_iou: IoU, in percent, of a class that is in neither the truth nor the predictions of
            the whole set. None leaves it out of the mean (as mmseg does), 0.0 counts it as zero (as
            the reference implementation does). Both agree if every class occurs, as on PASCAL's
            validation set.
        class_weight: C numbers >= 0. The loss is a mean over pixels, weighted by their true class,
            as in :func:`torch.nn.functional.cross_entropy`. None: equal weights.
        values: stored number, or numbers, of each class in label files; None for the id.
        ignore: stored numbers that mean unknown, in addition to -1 and, if it is not in
            ``values``, 255; with ``colour_coded`` RGB colours.
        colour_coded: label files are RGB; each class has its colour of ``palette``.
        mirrored: pairs of classes that change places in a mirror image, such as ``(('left arm',
            'right arm'),)``; None for those whose names differ by left and right alone, ``()`` for
            none.
    """

    ignore_value = 255
    label_dtype = np.uint8
    primary_metric = 'mIoU'
    higher_is_better = True
    beside_figures = ('loss_weight', 'class_weight', 'palette')
    mixed = ('set values of the task if the numbers are class ids, as in values=(0, 1); '
             'colour_coded=True reads the colours')

    def __init__(self, class_names: Sequence[str],
                 palette: Sequence[Sequence[int]] | np.ndarray,
                 loss_weight: float = 1.0, absent_iou: float | None = None,
                 class_weight: Sequence[float] | None = None,
                 values: Sequence[Stored] | None = None,
                 ignore: Sequence[int] | Sequence[Sequence[int]] | None = None,
                 colour_coded: bool = False,
                 mirrored: Sequence[Sequence[str]] | None = None) -> None:
        super().__init__(loss_weight)
        owner = type(self).__name__
        self.class_names = check_names(owner, class_names)
        self.channels = len(self.class_names)
        self.palette = check_palette(owner, palette, self.channels)
        if not (absent_iou is None or isinstance(absent_iou, (int, float)) and absent_iou >= 0):
            raise ValueError(f'{owner}: absent_iou must be a number >= 0 or None, got '
                             f'{absent_iou!r}')
        self.absent_iou = absent_iou
        self.colour_coded = colour_coded
        self.stored = self._stored_values(values, ignore)
        self.class_weight = None if class_weight is None else check_weights(
            owner, class_weight, self.channels)
        self._mirror_order = mirror_order(owner, mirrored, self.class_names)
        self._weight_on: dict[torch.device, Tensor] = {}

    def _stored_values(self, values: Sequence[Stored] | None,
                       ignore: Sequence | None) -> StoredValues:
        owner = type(self).__name__
        if not self.colour_coded:
            return StoredValues(owner, self.channels, self.ignore_value, values, ignore)
        if values is not None:
            raise ValueError(f'{owner}: with colour_coded the palette defines the stored colours; '
                             f'values must be None, got {values!r}')
        colours = np.empty((0, 3), np.uint8) if ignore is None or ignore == () else np.array(ignore)
        if (colours.shape[1:] != (3,) or colours.dtype.kind not in 'iu'
                or not ((colours >= 0) & (colours <= 255)).all()):
            raise ValueError(f'{owner}: with colour_coded ignore must be a sequence of RGB colours '
                             f'such as ((255, 255, 255),), got {ignore!r}')
        return StoredValues(owner, self.channels, self.ignore_value,
                            pack_colours(self.palette).tolist(),
                            pack_colours(colours).tolist(), (), _colour)

    @property
    def exchanged(self) -> str:
        """Return the classes that change places in a mirror image, as words."""
        return ', '.join(f'{self.class_names[one]} and {self.class_names[other]}'
                         for one, other in enumerate(self._mirror_order or ()) if one < other)

    def flip(self, label: np.ndarray) -> np.ndarray:
        return self._mirrored(super().flip(label))

    def transpose(self, label: np.ndarray) -> np.ndarray:
        return self._mirrored(super().transpose(label))  # which mirrors as well

    def _mirrored(self, label: np.ndarray) -> np.ndarray:
        """Exchange the ids of the classes that change places in a mirror image."""
        if self._mirror_order is None:
            return label
        ids = np.arange(256, dtype=label.dtype)
        ids[:self.channels] = self._mirror_order
        return ids[label]

    def mirror(self, prediction: Tensor) -> Tensor:
        mirrored = super().mirror(prediction)
        return mirrored if self._mirror_order is None else mirrored[:, self._mirror_order]

    def check(self, label: np.ndarray) -> None:
        outside = invalid_values(label, self.channels, self.ignore_value)
        if outside:
            raise ValueError(f'{self.name} labels must be 0..{self.channels - 1} or 255 (unknown), '
                             f'got [{shorten(outside)}]; values and ignore of the task say what '
                             'others mean')

    def says_nothing(self, label: np.ndarray) -> np.ndarray:
        nothing = [number for number, name in enumerate(self.class_names) if undrawn(name)]
        return np.isin(label, nothing) | super().says_nothing(label)

    def from_png(self, pixels: np.ndarray) -> np.ndarray:
        """Return the stored class ids: one channel, equal channels, or indices of a palette.

        With ``colour_coded`` return packed colours. :meth:`translate` converts both to ids.
        """
        if self.colour_coded:
            return self._packed(pixels)
        pixels = one_channel(pixels)
        if pixels.ndim == 2 and pixels.dtype == bool:  # 1-bit grey
            return pixels.astype(np.uint8)
        if pixels.ndim != 2 or pixels.dtype.kind not in 'iu':
            raise ValueError(f'a picture of {self.name} must hold class ids in one channel or a '
                             f'palette, got {pixels.dtype} of shape {pixels.shape}; colours '
                             'must be turned into ids first, or be the palette of the task, with '
                             'colour_coded=True')
        return pixels

    def from_palette(self, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """Decode the indices, or the greys of a palette of greys, which ``values`` must define.

        Image optimisers store ids as indices of greys, in any order.
        """
        if self.colour_coded:
            return self.from_png(palette[indices])
        used = used_indices(indices)
        greys = palette[used, 0]
        if (palette != palette[:, :1]).any() or len(set(greys)) < len(used):
            self._check_order(used, palette)
            return self.from_png(indices)
        if not self.stored.said and (greys != used).any():
            raise ValueError(f'the numbers {shorten(used)} of a picture of {self.name} are the '
                             f'greys {shorten(greys)}: which are the class ids? values of the task '
                             'names the grey of each class, as in values=(0, 255), or '
                             f'values=tuple(range({self.channels})) if the greys are the ids')
        return self.from_png(palette[indices, 0])

    def _check_order(self, used: np.ndarray, palette: np.ndarray) -> None:
        """Raise ValueError if a file assigns the colours of the task to other classes."""
        own = {tuple(colour): number for number, colour in enumerate(self.palette.tolist())}
        colours = [tuple(colour) for colour in palette.tolist()]
        classes = {index: own.get(colours[index]) for index in used.tolist() if index != 255}
        other = [index for index, number in classes.items() if number != index]
        if self.stored.said or len(own) < self.channels or None in classes.values():
            return
        # A single equal colour may be a coincidence.
        if len(other) > 1 or other and set(colours[:self.channels]) == set(own):
            number = own[colours[other[0]]]
            raise ValueError(f'the index {other[0]} of a picture of {self.name} has the colour '
                             f'{colours[other[0]]}, which in the palette of the task is that of '
                             f'the class {number} ({self.class_names[number]}): colour_coded=True '
                             f'reads the colours, values=tuple(range({self.channels})) the indices')

    def coding(self, pixels: np.ndarray, palette: np.ndarray | None = None) -> dict[str, str]:
        if self.stored.said:
            return {}
        if palette is None:
            return {'a class id': 'of 1 bit' if pixels.dtype == bool else 'of 8 bits or more'
                    } if pixels.any() else {}
        if (palette == palette[:, :1]).all():
            return {}
        return {f'the index {index}': f'the colour {tuple(palette[index].tolist())}'
                for index in used_indices(pixels) if palette[index].any() or not index}

    def from_array(self, values: np.ndarray) -> np.ndarray:
        return self._packed(values) if self.colour_coded else whole_numbers(values)

    def _packed(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.shape[2:] != (3,) or pixels.dtype != np.uint8:
            raise ValueError(f'with colour_coded a label of {self.name} must be 8-bit RGB, got '
                             f'{pixels.dtype} of shape {pixels.shape}')
        return pack_colours(pixels)

    def translate(self, label: np.ndarray) -> np.ndarray:
        return self.stored.translate(label)

    def doubt(self, seen: Seen) -> Doubt | None:
        return doubt_classes(self, seen) or super().doubt(seen)

    def unlike(self, learned: Seen, tested: Seen) -> str:
        return (unlike_classes(self.class_names, learned, tested)
                or super().unlike(learned, tested))

    def two_conventions(self, one: Seen, other: Seen, names: tuple[str, str]) -> str:
        return outlines(one, other, names)

    def valid(self, label: Tensor) -> Tensor:
        return label != self.ignore_value

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        target = label[:, 0].long()
        pixel = F.cross_entropy(logits, target, ignore_index=self.ignore_value, reduction='none')
        if self.class_weight is None:
            return masked_mean(pixel, self.valid(label))
        weight = self._weight_of_ids(logits.device)[target]
        total = weight.flatten(1).sum(1)
        return (pixel * weight).flatten(1).sum(1) / torch.where(total > 0, total, 1)

    def _weight_of_ids(self, device: torch.device) -> Tensor:
        """Return the weight of each stored id, (256,), 0 for ``ignore_value``; copied once."""
        if device not in self._weight_on:
            table = torch.zeros(256)
            table[:self.channels] = torch.tensor(self.class_weight)
            self._weight_on[device] = table.to(device)
        return self._weight_on[device]

    def activate(self, logits: Tensor) -> Tensor:
        return logits.softmax(1)

    def decode(self, prediction: Tensor) -> Tensor:
        """Compute ``argmax`` over the classes (the first of equals) ten times faster on a CPU.

        PyTorch's ``argmax`` is not vectorised over a dimension that is not the last; ``max`` and
        comparison are.
        """
        best = (prediction == prediction.amax(1, keepdim=True)).to(torch.uint8)
        # C for the first class down to 1 for the last, created on the device.
        rank = torch.arange(self.channels, 0, -1, dtype=torch.uint8, device=prediction.device)
        first = (best * rank[:, None, None]).amax(1, keepdim=True)
        return (self.channels - first).clamp(max=self.channels - 1)  # NaN: the last class

    def pseudo_label(self, teacher: Tensor, student: Tensor, confidence: float = CONFIDENCE,
                     agreement: float = AGREEMENT) -> Tensor:
        """Return the teacher's class where its probability is above ``confidence``."""
        probability, label = teacher.max(1, keepdim=True)
        return torch.where(probability > confidence, label, self.ignore_value).to(torch.uint8)

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Return (N, C * C) confusion counts, row = true class, column = predicted class."""
        return self.confusion(self.decode(prediction), label)

    def confusion(self, predicted: Tensor, label: Tensor) -> Tensor:
        """Compute :meth:`stats` from the predicted classes, (N, 1, H, W) like the label."""
        samples, classes = len(label), self.channels
        cell = label.long() * classes + predicted
        cell = torch.where(self.valid(label), cell, classes * classes).flatten(1)
        counts = cell.new_zeros(samples, classes * classes + 1)
        counts.scatter_add_(1, cell, torch.ones_like(cell))
        return counts[:, :-1].double()

    def confusion_matrix(self, stats: Tensor) -> Tensor:
        return stats.sum(0).view(self.channels, self.channels)

    def _iou(self, stats: Tensor) -> Tensor:
        """Return the IoU of each class over the whole set, (C,) in percent; NaN to leave it out."""
        confusion = self.confusion_matrix(stats)
        true_positive = confusion.diag()
        union = confusion.sum(0) + confusion.sum(1) - true_positive
        iou = 100 * true_positive / union  # 0 / 0 is NaN: the class is absent
        if self.absent_iou is not None and confusion.any():
            iou = iou.nan_to_num(self.absent_iou)
        return iou

    def score(self, stats: Tensor) -> dict[str, float]:
        return {self.primary_metric: self._iou(stats).nanmean().item()}

    def class_scores(self, stats: Tensor) -> dict[str, float]:
        return {f'IoU.{name}': value for name, value in zip(self.class_names,
                                                           self._iou(stats).tolist())}

    def colorize(self, label: np.ndarray) -> np.ndarray:
        table = np.full((256, 3), WHITE, np.uint8)  # unknown pixels
        table[:self.channels] = self.palette
        return table[label[0].astype(np.uint8)]

    def legend(self, label: np.ndarray) -> dict[str, tuple[int, int, int]]:
        present = np.unique(label)
        legend = {self.class_names[i]: tuple(self.palette[i].tolist())
                  for i in present if i < self.channels and self.class_names[i] != 'background'}
        return legend | ({'unknown': WHITE} if self.ignore_value in present else {})


def bit_palette(classes: int) -> np.ndarray:
    """Return the PASCAL VOC palette, (classes, 3) uint8: bits of the id spread over RGB."""
    ids = np.arange(classes)
    palette = np.zeros((classes, 3), np.uint8)
    for shift in range(8):
        for channel in range(3):
            palette[:, channel] |= ((ids >> channel & 1) << (7 - shift)).astype(np.uint8)
        ids >>= 3
    return palette


def pack_colours(pixels: np.ndarray) -> np.ndarray:
    """Pack (..., 3) RGB of 8 bits into one number each, 65536 R + 256 G + B."""
    return pixels.astype(np.int64) @ np.array([65536, 256, 1])


def _colour(number: int) -> tuple[int, ...]:
    return number >> 16, number >> 8 & 255, number & 255
