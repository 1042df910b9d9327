"""A dataset whose labels are looked at."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mtpsl.datasets import FolderDataset

from .conftest import TEST

TASKS = dict(classes=dict(type='Semseg', class_names=('a', 'b')), mask=dict(type='Saliency'))
SIZE = (8, 9)
NO, YES = np.zeros(SIZE, np.uint8), np.eye(*SIZE, dtype=np.uint8)


def write(root: Path, count: int = 12, classes: Callable[[int], np.ndarray] = lambda number: YES,
          mask: Callable[[int], np.ndarray] = lambda number: YES * 255) -> Path:
    """Images 0, 1, ... with both labels."""
    for folder in ('images', 'classes', 'mask'):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        for folder, pixels in (('images', rng.integers(0, 256, (*SIZE, 3), np.uint8)),

                               ('classes', np.roll(classes(number), number, 1)),
                               ('mask', np.roll(mask(number), number, 1))):
            cv2.imwrite(str(root / f'{folder}/{number}.png'), pixels)
    return root


def dataset(root: Path, tasks: dict = TASKS, **arguments: object) -> FolderDataset:
    return FolderDataset(tasks=tasks, data_root=str(root), **(dict(pipeline=TEST) | arguments))
