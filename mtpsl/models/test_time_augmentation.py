"""Average predictions over scales and mirrored versions of the input."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from numbers import Real
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpsl.models.methods.options import PredictOptions
from mtpsl.models.preprocessor import centred
from mtpsl.models.to_device import resize
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import METRIC_PREFIXES
from mtpsl.tasks import Task

LARGEST = 8.0  # factor of a view
Maps = dict[str, dict[str, Tensor]]  # output -> task -> (B, C, H, W)


class PredictMaps(Protocol):
    """Signature of :meth:`mtpsl.models.MultiTaskModel.prediction_maps`."""

    def __call__(self, inputs: Tensor, data_samples: list[MultiTaskSample],
                 options: PredictOptions) -> Maps: ...


@MODELS.register_module()
class MultiTaskTTA:
    """Test-time augmentation with several scales and mirroring.

    The task maps the prediction of each view back to the image: it mirrors the values too (the x of
    normals changes sign), resizes, and multiplies depth by the scale, since training divides it by
    a zoom. Predictions are averaged: probabilities, unit vectors (renormalised), metres. Views are
    made from the batch on its device, so labels, metrics and files are the same as without.

    The scored outputs ``pred`` and ``initial`` are averaged. Others, such as ``uncertainty``, are
    those of the view that is most similar to the image.

    Args:
        scales: factors on height and width, > 0.
        flip: whether to mirror each scale as well.
    """

    def __init__(self, scales: Sequence[float] = (0.75, 1.0, 1.25), flip: bool = True) -> None:
        if not (isinstance(scales, Sequence) and scales and not isinstance(scales, str)
                and all(isinstance(scale, (float, Real)) and 0 < scale < math.inf
                        for scale in scales)):
            raise ValueError('MultiTaskTTA: scales must be positive numbers such as '
                             f'(0.75, 1.0, 1.25), got {scales!r}')
        if max(scales) > LARGEST:
            raise ValueError(f'MultiTaskTTA: scales are factors of at most {LARGEST:g} on height '
                             f'and width, not percent, got {scales!r}')
        if not isinstance(flip, bool):
            raise ValueError(f'MultiTaskTTA: flip must be True or False, got {flip!r}')
        nearest = sorted(dict.fromkeys(scales), key=lambda scale: abs(math.log(scale)))
        self.views = list(product((False, True) if flip else (False,), nearest))

    def check_tasks(self, tasks: Mapping[str, Task]) -> None:
        """Raise ValueError if a task overrides ``flip`` for labels but not ``mirror``."""
        def depth(task: Task, method: str) -> int:
            return next(level for level, cls in enumerate(type(task).__mro__)
                        if method in vars(cls))

        for name, task in tasks.items():
            if depth(task, 'flip') < depth(task, 'mirror') and any(flip for flip, _ in self.views):
                raise ValueError(f'{type(task).__name__} of {name} overrides flip for labels but '
                                 'not mirror, which does the same for predictions; '
                                 'tta_model.flip=False avoids mirroring')

    def __call__(self, predict: PredictMaps, inputs: Tensor, samples: list[MultiTaskSample],
                 options: PredictOptions, tasks: Mapping[str, Task], divisor: int) -> Maps:
        """Predict a batch.

        Args:
            predict: predicts one view.
            inputs: (B, 3, H, W) normalised images.
            samples: their samples.
            options: options of the prediction.
            tasks: task name -> task.
            divisor: the sides of images must be multiples of this.

        Returns:
            output -> task -> (B, C, H, W).
        """
        total: Maps = {}
        for flip, scale in self.views:
            maps = _one_view(predict, inputs, samples, options, tasks, divisor, scale, flip)
            if not total:
                total = maps
                scored = [output for output in METRIC_PREFIXES if output in total]
                options = replace(options, outputs=scored)
                continue
            for output in scored:
                for name, values in maps[output].items():
                    total[output][name] = total[output][name] + values
        if len(self.views) > 1:
            for output in scored:
                total[output] = {name: tasks[name].from_mean(values / len(self.views))
                                 for name, values in total[output].items()}
        return total


def _one_view(predict: PredictMaps, inputs: Tensor, samples: list[MultiTaskSample],
              options: PredictOptions, tasks: Mapping[str, Task], divisor: int, scale: float,
              flip: bool) -> Maps:
    """Predict one view and map the predictions back to the image.

    Images are resized without their padding, so it does not mix into their edges.
    """
    whole = inputs.shape[-2:]
    size = _zoomed_size(whole, scale)
    paddings = [tuple(sample.get('padding', (0, 0, 0, 0))) for sample in samples]
    parts = [(slice(None), paddings[0])] if len(set(paddings)) == 1 else [
        (slice(row, row + 1), padding) for row, padding in enumerate(paddings)]
    seen = inputs if scale == 1 else torch.cat([
        _zoom(inputs[rows], padding, size, scale) for rows, padding in parts])
    if flip:
        seen = seen.flip(-1)
    below, right = (-side % divisor for side in size)
    maps = predict(F.pad(seen, (0, right, 0, below)), samples, options)

    def back(name: str, values: Tensor) -> Tensor:
        values = values[..., :size[0], :size[1]]
        if flip:
            values = tasks[name].mirror(values)
        return values if scale == 1 else tasks[name].rescale(torch.cat([
            _zoom_back(values[rows], padding, whole, scale) for rows, padding in parts]), 1 / scale)

    return {output: {name: back(name, values) for name, values in by_task.items()}
            for output, by_task in maps.items()}


def _zoom(padded: Tensor, padding: Sequence[int], size: Sequence[int], scale: float) -> Tensor:
    """Images (B, C, H, W) without their padding, zoomed, in the middle of ``size``."""
    image = F.pad(padded, [-side for side in padding])
    zoomed = resize(image, _zoomed_size(image.shape[-2:], scale))
    return F.pad(zoomed, centred(zoomed.shape[-2:], *size))


def _zoom_back(values: Tensor, padding: Sequence[int], whole: Sequence[int],
               scale: float) -> Tensor:
    """Maps of what :func:`_zoom` gave, in the size of the padded images; the padding is 0."""
    left, right, top, bottom = padding
    size = [whole[0] - top - bottom, whole[1] - left - right]
    around = centred(_zoomed_size(size, scale), *values.shape[-2:])
    return F.pad(resize(F.pad(values, [-side for side in around]), size), list(padding))


def _zoomed_size(size: Sequence[int], scale: float) -> list[int]:
    return [max(round(side * scale), 1) for side in size]
