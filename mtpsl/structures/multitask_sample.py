"""One image's labels and predictions, addressed by task name."""

from collections.abc import Sequence

from mmengine.structures import BaseDataElement


class MultiTaskSample(BaseDataElement):
    """Labels and predictions of one image; an absent task name is a withheld label.

    Each field is a :class:`mmengine.structures.PixelData` of maps by task name, so
    ``'depth' in sample.gt`` asks whether the image is labelled for depth and
    ``sample.pred.depth`` is its predicted map. Shapes: (C, H, W), C channels of the map.

    Fields, whose names :mod:`mtpsl.structures.outputs` owns:
        gt: labels as their task writes them, unknown pixels holding the task's ``ignore_value``.
        pred: final predictions (what ``Task.activate`` returns).
        initial: predictions of the initial backbone model, before denoising.
        noisy: the noisy maps X_S, as predictions.
        step<s>: X_0 as denoising step s > 1 predicts it (step 1's is ``pred``).
        uncertainty: standard deviation of ``pred`` over several draws of noise, (1, H, W).

    Metainfo that the parts rely on: ``img_id``, ``img_path``, and, once preprocessed,
    ``padding`` (left, right, top, bottom in pixels).
    """


def labelled_rows(samples: Sequence[MultiTaskSample], task: str) -> list[int]:
    """Indices in the batch of the samples that are labelled for ``task``."""
    return [row for row, sample in enumerate(samples) if task in sample.gt]
