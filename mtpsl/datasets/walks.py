"""Ways through a dataset: into what wrappers hold, and over its images."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .partial_label import PartialLabelDataset

GOLDEN = (math.sqrt(5) - 1) / 2


def leaves_of(dataset: object) -> Iterator[PartialLabelDataset]:
    """The datasets inside of wrappers, such as ``ConcatDataset`` or ``RepeatDataset``."""
    if isinstance(dataset, PartialLabelDataset):
        yield dataset
        return
    for child in inside_of(dataset):
        yield from leaves_of(child)


def inside_of(dataset: object) -> Iterator[Any]:
    """The datasets that a wrapper holds."""
    held = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for child in held.values() if isinstance(held, Mapping) else held:
        if hasattr(child, '__getitem__') and hasattr(child, '__len__') and not isinstance(
                child, str):
            yield child


def spread(count: int) -> Iterator[int]:
    """0..count-1, each once, in an order whose beginnings are spread evenly; always the same."""
    step = max(1, round(count * GOLDEN))
    while math.gcd(step, count) > 1:
        step += 1
    return (number * step % count for number in range(count))
