"""Converts a dataset image by image, see :mod:`mtpsl.data_prep.resumable`."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mtpsl.data_prep.resumable import Plan, carry_out
from mtpsl.system.files import left_behind, write_text
from mtpsl.system.parallel import is_alive

from .target import Target, summarise


class Item(NamedTuple):
    """An image to convert.

    Args:
        split: 'train' or 'val'.
        id: number in the split, from 0.
        source: index or name in the source.
    """

    split: str
    id: int
    source: int | str


@dataclass(frozen=True)
class Conversion:
    """A conversion to carry out.

    Args:
        target: output folder.
        settings: everything that the result depends on, for the manifest; long settings as a
            :func:`digest`.
        classes: names of the classes of ``semseg``.
        items: images in the order of conversion.
        texts: additional small files: name -> content.
    """

    target: Target
    settings: Mapping[str, str | int]
    classes: tuple[str, ...]
    items: Sequence[Item]
    texts: Mapping[str, str]

    def paths(self, item: Item) -> list[Path]:
        """Return the files of an image."""
        return list(self.target.paths(item.split, item.id).values())


def digest(text: str) -> str:
    """Return 16 hexadecimal digits of a text's hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remove_temporaries(conversion: Conversion) -> None:
    """Remove temporary files of killed writers, which loaders would count as images."""
    for folder in {path.parent for item in conversion.items for path in conversion.paths(item)}:
        for name in os.listdir(folder):
            found = left_behind(name)
            if found and not is_alive(found[0]):  # otherwise another run is working
                (folder / name).unlink(missing_ok=True)


def convert(conversion: Conversion, write: Callable[[Item], None], workers: int) -> int:
    """Convert the missing images, and print a summary of the dataset.

    Args:
        conversion: the conversion.
        write: picklable function that writes the files ``conversion.paths`` of an image.
        workers: processes, at least 1.

    Returns:
        Number of images converted, 0 if all existed.

    Raises:
        ValueError, OSError: see :func:`mtpsl.data_prep.resumable.carry_out`; an existing file is
            damaged.
    """
    root = conversion.target.root
    texts = {root / name: text for name, text in conversion.texts.items()}

    def finish() -> str:
        for path, text in texts.items():
            if not path.exists():
                write_text(path, text)
        _remove_temporaries(conversion)
        counts = Counter(item.split for item in conversion.items)
        return summarise(conversion.target, conversion.classes, counts, workers)

    plan = Plan(root, 'conversion', 'conversion', conversion.settings, conversion.items,
                conversion.paths, 'images', list(texts))
    return carry_out(plan, write, workers, finish)


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink by area averages: (H, W, 3) uint8 -> (height, width, 3) float32 in [0, 1]."""
    # Convert to floats first, or averages would be rounded to a 255th.
    values = image.astype(np.float32) / 255
    return np.clip(cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA), 0, 1)


def pick_nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Sample the values at the centres of the new pixels: (H, W, ...) -> (height, width, ...)."""
    # Not OpenCV's INTER_NEAREST, which samples the corner and so shifts labels.
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(np.intp)
                     for new, old in zip(size, values.shape))
    return values[rows[:, None], columns]
