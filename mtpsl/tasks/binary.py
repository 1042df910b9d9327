"""Base class of binary tasks: label files and colours."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from .auxiliary import AGREEMENT, CONFIDENCE
from .base import UNKNOWN_COLOUR, Task
from .lines import outlines
from .seen import ENOUGH, SOME, Doubt, Seen
from .stored import (
    Stored,
    StoredValues,
    invalid_values,
    one_channel,
    shorten,
    used_indices,
    whole_numbers,
)

SOFT = 2  # least number of dark and of light greys in a mask with soft edges
# A mask with more pixels in uniformly grey areas (share of positives, number) has no soft edges.
AREA, PIXELS = 0.1, 50
FEW = 0.1  # labels that differ from the others of their split in being mostly yes, or mostly no


class BinaryTask(Task):
    """A binary per-pixel task. Label: 1 positive (yes), 0 negative (no), 255 unknown.

    Args:
        loss_weight: see :class:`Task`.
        values: stored number, or numbers, of the negative and of the positive pixels, such as
            ``(0, 255)`` or ``(0, (128, 255))``. None: 0 and 1, or black and white of a picture.
        ignore: stored numbers that mean unknown, in addition to -1 and, if it is not in
            ``values``, 255.
    """

    ignore_value = 255
    label_dtype = np.uint8
    higher_is_better = True
    mixed = ('values=(0, (1, 255)) of the task makes 1 and 255 a yes, ignore=(255,) makes 255 '
             'unknown')

    def __init__(self, loss_weight: float = 1.0, values: Sequence[Stored] | None = None,
                 ignore: Sequence[int] | None = None) -> None:
        super().__init__(loss_weight)
        self.stored = StoredValues(type(self).__name__, 2, self.ignore_value, values, ignore)

    def check(self, label: np.ndarray) -> None:
        outside = invalid_values(label, 2, self.ignore_value)
        if outside:
            raise ValueError(f'{self.name} labels must be 0, 1 or 255 (unknown), got '
                             f'[{shorten(outside)}]; values and ignore of the task say what others '
                             'mean')

    def from_png(self, pixels: np.ndarray) -> np.ndarray:
        """Decode a mask of 0 and 1, or black and white: 1 where an 8-bit grey is above 127.

        A black and white mask has no other greys, or many, at soft edges. A few greys, or areas of
        one grey, are refused: they look like class ids. A mask of 16 bits is black and white, or
        holds 8-bit numbers. If the task's options define the stored numbers, they are kept for
        :meth:`translate`.
        """
        pixels = one_channel(pixels)
        if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16, bool):
            raise ValueError(f'a picture of {self.name} must be an 8-bit mask of one channel, got '
                             f'{pixels.dtype} of shape {pixels.shape}')
        if pixels.dtype == bool:
            return pixels.astype(np.uint8)
        if self.stored.said:
            return pixels
        values = np.flatnonzero(np.bincount(pixels.ravel())).tolist()
        highest = max(values, default=0)
        if highest < 2:
            return pixels.astype(np.uint8)
        white = 255 if highest < 256 else 65535
        greys = [value for value in values if 0 < value < white]
        dark = sum(value <= white // 2 for value in greys)
        if greys and min(dark, len(greys) - dark) < SOFT:
            raise ValueError(f'a picture of {self.name} must be black (0) and white ({white}), got '
                             f'the values {", ".join(map(str, values[:5]))}; a map of 0, 1 and 255 '
                             '(unknown) can be saved as .npy; values and ignore of the task say '
                             'what other numbers mean' + _example(values) +
                             f'; values=(tuple(range({white // 2 + 1})), '
                             f'tuple(range({white // 2 + 1}, {white + 1}))) cuts at the middle')
        mask = (pixels > white // 2).astype(np.uint8)
        flat = _flat_greys(pixels, white) if greys else np.empty(0)
        if len(flat) > max(AREA * mask.sum(), PIXELS):
            raise ValueError(f'a picture of {self.name} must be black (0) and white ({white}), got '
                             f'areas of the greys {shorten(np.unique(flat))}, which are not soft '
                             'edges: values and ignore of the task say what they mean, as in '
                             f'values=(0, tuple(range(1, {white + 1}))) where they are objects; '
                             f'values=(tuple(range({white // 2 + 1})), tuple(range('
                             f'{white // 2 + 1}, {white + 1}))) cuts at the middle')
        return mask

    def from_palette(self, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """Decode grey values if all used colours are grey, else the palette indices.

        Unless the task's options define the indices, they must be 0 (black, negative) and 1.
        """
        used = used_indices(indices)
        if _grey(palette[used]):
            return self.from_png(palette[indices, 0])
        if not self.stored.said and (used[-1] > 1 or palette[0].any()):
            shown = ', '.join(f'{index} {tuple(palette[index].tolist())}' for index in used[:5])
            raise ValueError(f'a picture of {self.name} with a palette of colours must hold the '
                             f'indices 0, of black, and 1, got {shown}; values and ignore of the '
                             'task say what indices mean, as in values=(0, 1), ignore=(255,)')
        return self.from_png(indices)

    def coding(self, pixels: np.ndarray, palette: np.ndarray | None = None) -> dict[str, str]:
        if palette is not None and not _grey(palette[used_indices(pixels)]):
            return {}  # 0 and 1, or defined by the task's options
        highest = int((pixels if palette is None else palette[pixels, 0]).max(initial=0))
        if self.stored.said or pixels.dtype == bool or not highest:
            return {}
        deep = pixels.dtype.itemsize > 1 and highest < 256
        return dict(yes='1' if highest == 1 else '255 of 16 bits' if deep else 'white')

    def from_array(self, values: np.ndarray) -> np.ndarray:
        """Return the stored numbers; refuse 0 and 255 without 1, which are ambiguous."""
        label = whole_numbers(values)
        if not self.stored.said and (label == 255).any() and not (label == 1).any():
            raise ValueError(f'{self.name} labels with 255 but without 1: is 255 yes, as in a '
                             'picture, or unknown? Set values=(0, 255) or ignore=(255,) for the '
                             f'task {self.name}')
        return label

    def translate(self, label: np.ndarray) -> np.ndarray:
        return self.stored.translate(label)

    def says_nothing(self, label: np.ndarray) -> np.ndarray:
        return (label == 0) | super().says_nothing(label)

    def doubt(self, seen: Seen) -> Doubt | None:
        if not seen.known or not seen.alike:
            return super().doubt(seen)
        return Doubt(f'hold no pixel that is a {"no" if seen.low else "yes"}', mute=True)

    def two_conventions(self, one: Seen, other: Seen, names: tuple[str, str]) -> str:
        shares = [np.array([label.some.mean() for label in seen.labels if label.known])
                  for seen in (one, other)]
        counts = [len(share) for share in shares]
        if min(counts) < SOME or max(counts) < ENOUGH:
            return ''
        filled = [float((share > 0.5).mean()) for share in shares]
        if min(filled) > FEW or max(filled) < 1 - FEW:
            return outlines(one, other, names)
        return ('are a yes on {2:.0%} of the pixels in {0} and on {3:.0%} in {1}: are they '
                'inverted in one of them? values=(255, 0) of the task, or files written anew, '
                'turn them'.format(*names, *(share.mean() for share in shares)))

    def valid(self, label: Tensor) -> Tensor:
        return label != self.ignore_value

    def pseudo_label(self, teacher: Tensor, student: Tensor, confidence: float = CONFIDENCE,
                     agreement: float = AGREEMENT) -> Tensor:
        """Return the class to which the teacher gives a probability above ``confidence``."""
        sure = torch.maximum(teacher, 1 - teacher) > confidence
        return torch.where(sure, (teacher > 0.5).to(torch.uint8), self.ignore_value).to(torch.uint8)

    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Render 0 as black to 1 as white; unknown pixels are blue grey."""
        value = label[0].astype(np.float32)
        picture = np.repeat((value.clip(0, 1) * 255).round().astype(np.uint8)[..., None], 3, 2)
        picture[value > 1] = UNKNOWN_COLOUR
        return picture


def _flat_greys(pixels: np.ndarray, white: int) -> np.ndarray:
    """Return the middle greys of (H, W) that equal all their neighbours, (P,)."""
    around = np.ones((3, 3), np.uint8)
    alike = cv2.erode(pixels, around) == cv2.dilate(pixels, around)
    return pixels[alike & (pixels > white // 8) & (pixels < white - white // 8)]


def _grey(colours: np.ndarray) -> bool:
    return bool((colours == colours[:, :1]).all())


def _example(values: Sequence[int]) -> str:
    """Suggest options for a mask with these values."""
    if len(values) == 2:
        return f', as in values=({values[0]}, {values[1]})'
    if len(values) > 3:
        return ''
    unknown = 255 if values[1:] == [1, 255] else values[1]
    yes = 1 if unknown == 255 else values[2]
    return f', as in values=({values[0]}, {yes}), ignore=({unknown},)'
