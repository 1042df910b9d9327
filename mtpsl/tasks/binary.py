"""What tasks with a yes or no per pixel share: the label and its picture."""

import numpy as np
import torch
from torch import Tensor

from .base import CONFIDENCE, UNKNOWN_COLOUR, Task, foreign_values


class BinaryTask(Task):
    """A task that says yes or no of each pixel. Label: 1 yes, 0 no, 255 unknown."""

    fill = 255
    label_dtype = np.uint8
    higher_is_better = True

    def check(self, label: np.ndarray) -> None:
        outside = foreign_values(label, 2, self.fill)
        if outside:
            raise ValueError(f'{self.name} labels must be 0, 1 or 255 (unknown), got {outside}')

    def from_picture(self, pixels: np.ndarray) -> np.ndarray:
        """A black and white mask: 1 where an 8-bit grey value is above 127, else 0."""
        if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():  # grey, saved as colours
            pixels = pixels[..., 0]
        if pixels.ndim != 2 or pixels.dtype not in (np.uint8, bool):
            raise ValueError(f'a picture of {self.name} must be an 8-bit mask of one channel, got '
                             f'{pixels.dtype} of shape {pixels.shape}')
        if pixels.dtype == bool:
            return pixels.astype(np.uint8)
        values = np.flatnonzero(np.bincount(pixels.ravel()))
        # Anti-aliased masks may hold a 1 too, but then other greys as well.
        if 0 < values.max(initial=0) < 128 or set(values) in ({0, 1, 255}, {1, 255}):
            raise ValueError(f'a picture of {self.name} must be black (0) and white (255), got the '
                             f'values {", ".join(map(str, values[:5]))}; a map of 0, 1 and 255 '
                             '(unknown) can be saved as .npy')
        return (pixels > 127).astype(np.uint8)

    def valid(self, label: Tensor) -> Tensor:
        return label != self.fill

    def pseudo_label(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Yes or no where the teacher gives it a probability above 0.95."""
        sure = torch.maximum(teacher, 1 - teacher) > CONFIDENCE
        return torch.where(sure, (teacher > 0.5).to(torch.uint8), self.fill).to(torch.uint8)

    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Black (0) to white (1); unknown pixels blue grey."""
        value = label[0].astype(np.float32)
        picture = np.repeat((value.clip(0, 1) * 255).round().astype(np.uint8)[..., None], 3, 2)
        picture[value > 1] = UNKNOWN_COLOUR
        return picture
