"""The labels and predictions of an image by task name, and iteration over a batch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor


class MultiTaskSample(BaseDataElement):
    """Labels and predictions of one image; an absent task name is a withheld label.

    Each field is a :class:`mmengine.structures.PixelData` of maps by task name, so
    ``'depth' in sample.gt`` asks whether the image is labelled for depth and
    ``sample.pred.depth`` is its predicted map. Shapes: (C, H, W), C channels of the map.

    Fields, whose names :mod:`mtpsl.structures.outputs` owns:
        gt: labels; unknown pixels have the task's ``ignore_value``.
        pred: final predictions (what ``Task.activate`` returns).
        initial: predictions of the initial backbone model, before denoising.
        noisy: the noisy maps X_S, as predictions.
        step<s>: X_0 as denoising step s > 1 predicts it (step 1's is ``pred``).
        uncertainty: standard deviation of ``pred`` over several draws of noise, (1, H, W).

    Metainfo that other parts need: ``img_id``, ``img_path``, and, once preprocessed,
    ``padding`` (left, right, top, bottom in pixels).
    """

    def pin_memory(self) -> 'MultiTaskSample':
        """Pin the maps: a loader with ``pin_memory=True`` calls it, and copies need not wait."""
        for maps in self.values():
            if isinstance(maps, PixelData):
                maps.update(PixelData(**{name: m.pin_memory() for name, m in maps.items()
                                         if isinstance(m, Tensor)}))
        return self


def labelled_rows(samples: Sequence[MultiTaskSample], task: str) -> list[int]:
    """Return the indices in the batch of the samples that are labelled for ``task``."""
    return [row for row, sample in enumerate(samples) if task in sample.gt]


def batch_leaves(tree: Tensor | MultiTaskSample | Iterable) -> Iterator[Any]:
    """Yield the images (3, H, W) or samples of a batch: a list or, with several views, lists."""
    if isinstance(tree, MultiTaskSample) or isinstance(tree, Tensor) and tree.ndim == 3:
        yield tree
    else:
        for branch in tree:
            yield from batch_leaves(branch)
