"""Predict large images in overlapping windows.

Shapes: H x W the image, h x w a window, C channels of a prediction.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from mtpsl.models.to_device import moved
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import TRUTH, UNCERTAINTY
from mtpsl.tasks import Task

Maps = dict[str, dict[str, Tensor]]  # stage -> task -> (C, H, W)
DEVICE_PIXELS = 2**21  # largest image that is merged on the model's device


def resize_longest_side(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """Shrink an image (H, W, 3) so that its longer side has at most ``max_side`` pixels."""
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def window_positions(size: Sequence[int], window: Sequence[int],
              overlap: float) -> list[tuple[int, int, int, int]]:
    """Return windows that cover an image: (top, left, height, width), row by row.

    Windows are spread evenly and share at least ``overlap`` of their side with their neighbours.
    An image that fits into a window is one window.

    Args:
        size: (H, W).
        window: (h, w), the largest size of a window.
        overlap: share of a window's side, 0 <= overlap < 1.
    """
    starts = []
    for side, largest in zip(size, window):
        room = max(side - largest, 0)  # of the last start
        steps = -(-room // max(int(largest * (1 - overlap)), 1))
        starts.append([round(room * step / steps) for step in range(steps + 1)] if steps else [0])
    height, width = (min(side, largest) for side, largest in zip(size, window))
    return [(top, left, height, width) for top, left in product(*starts)]


class WindowMerger:
    """Merge the predictions of an image's windows.

    Overlapping windows are blended with weights that decrease towards their borders, where a
    window has little context: there are no seams. Images of up to ``DEVICE_PIXELS`` are merged on
    the device that predicted them, larger ones, whose maps take gigabytes, on the CPU.

    Args:
        size: (H, W).
        windows: number of windows that will be added.
        tasks: task name -> task.
    """

    def __init__(self, size: Sequence[int], windows: int, tasks: Mapping[str, Task]) -> None:
        self.size, self.left, self.tasks = tuple(size), windows, tasks
        self._single = windows == 1
        self._sums: Maps = {}
        self._weight = torch.zeros(self.size)
        self._here = prod(self.size) <= DEVICE_PIXELS

    def add(self, sample: MultiTaskSample, window: tuple[int, int, int, int]) -> None:
        """Add the predictions of a window.

        Args:
            sample: sample with fields of (C, h, w) maps.
            window: (top, left, height, width) in the image.
        """
        self.left -= 1
        stages = {field: maps for field, maps in sample.items()
                  if isinstance(maps, PixelData) and field != TRUTH}
        if self._single:
            self._sums = {field: {name: self._kept(m) for name, m in maps.items()}
                          for field, maps in stages.items()}
            return
        top, left, height, width = window
        weight = blend_weights(height, width)
        rows, columns = slice(top, top + height), slice(left, left + width)
        self._weight[rows, columns] += weight
        blend: dict[torch.device, Tensor] = {}
        for field, maps in stages.items():
            sums = self._sums.setdefault(field, {})
            for name, values in maps.items():
                values = self._kept(values)
                if name not in sums:
                    sums[name] = values.new_zeros(len(values), *self.size)
                if values.device not in blend:
                    blend[values.device] = moved(weight, values.device)
                sums[name][:, rows, columns] += blend[values.device] * values

    def maps(self, size: Sequence[int]) -> Iterator[tuple[str, str, Tensor]]:
        """Iterate over stage, task and prediction (C, H', W'), resized to ``size`` = (H', W').

        Maps are on the device where they were merged, see the class. They are yielded one by one,
        since all maps at a photo's size would take gigabytes.
        """
        enlarged = tuple(size) != self.size
        for stage, sums in self._sums.items():
            for name in self.tasks:  # in their order; a sample's fields have none
                if name not in sums:
                    continue
                values = sums[name]
                if prod(size) > DEVICE_PIXELS:
                    values = values.cpu()
                if not self._single:
                    values = values / moved(self._weight, values.device)
                if enlarged:
                    values = F.interpolate(values[None], tuple(size), mode='bilinear')[0]
                if stage != UNCERTAINTY and (enlarged or not self._single):
                    values = self.tasks[name].from_mean(values[None])[0]
                yield stage, name, values

    def _kept(self, values: Tensor) -> Tensor:
        return values if self._here else values.cpu()


def blend_weights(height: int, width: int) -> Tensor:
    """Return (h, w) weights, the product of two triangles: 1 near the middle, small at borders."""
    tents = []
    for side in (height, width):
        near = torch.arange(side) + 0.5
        tents.append(torch.minimum(near, side - near) / (side / 2))
    return tents[0][:, None] * tents[1]
