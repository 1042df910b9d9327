"""Large images by overlapping windows.

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
DEVICE_PIXELS = 2**21  # of the largest image that is put together on the model's device


def resize_longest_side(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """An image (H, W, 3) with its longer side shrunk to ``max_side`` pixels, if it is longer."""
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def window_positions(size: Sequence[int], window: Sequence[int],
              overlap: float) -> list[tuple[int, int, int, int]]:
    """Windows that cover an image: (top, left, height, width) of each, row by row.

    Neighbours share at least ``overlap`` of their side, and are spread evenly. An image that fits
    into a window is one.

    Args:
        size: (H, W).
        window: (h, w), the largest that a window may be.
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
    """The predictions of an image, put together from its windows.

    Where windows overlap, each is weighted less towards its borders, where a window knows least:
    there are no seams. Images of up to ``DEVICE_PIXELS`` stay on the device that predicted them;
    larger ones, whose maps take gigabytes, are put together on the CPU.

    Args:
        size: (H, W).
        windows: how many will be added.
        tasks: task name -> task.
    """

    def __init__(self, size: Sequence[int], windows: int, tasks: Mapping[str, Task]) -> None:
        self.size, self.left, self.tasks = tuple(size), windows, tasks
        self._single = windows == 1
        self._sums: Maps = {}
        self._weight = torch.zeros(self.size)
        self._here = prod(self.size) <= DEVICE_PIXELS

    def add(self, sample: MultiTaskSample, window: tuple[int, int, int, int]) -> None:
        """Take the predictions of a window.

        Args:
            sample: with fields of (C, h, w) maps.
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
        """Stage, task and prediction, resized to ``size`` = (H', W'): (C, H', W').

        They are on the device that predicted them unless they are large, see the class. One after
        the other, since all of them at a photo's size would take gigabytes.
        """
        enlarged = tuple(size) != self.size
        for stage, sums in self._sums.items():
            for name in self.tasks:  # their order; a sample's fields have none
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
    """(h, w) weights, the product of two tents: 1 near the middle, small at the borders."""
    tents = []
    for side in (height, width):
        near = torch.arange(side) + 0.5
        tents.append(torch.minimum(near, side - near) / (side / 2))
    return tents[0][:, None] * tents[1]
