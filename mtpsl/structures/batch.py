"""Walking over a batch."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from .multitask_sample import MultiTaskSample


def batch_leaves(tree: Tensor | MultiTaskSample | Iterable) -> Iterator[Any]:
    """Images (3, H, W) or samples of a batch: a list of them or, of several views, of lists."""
    if isinstance(tree, MultiTaskSample) or isinstance(tree, Tensor) and tree.ndim == 3:
        yield tree
    else:
        for branch in tree:
            yield from batch_leaves(branch)
