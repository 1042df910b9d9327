"""Average predictions over scales and mirrored versions of the input."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from numbers import Real
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from mtpsl.models.methods.options import PredictOptions
from mtpsl.models.to_device import resize
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import METRIC_PREFIXES
from mtpsl.tasks import Task

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
    """Predict one view and map the predictions back to the image."""
    whole = inputs.shape[-2:]
    size = [max(round(side * scale), 1) for side in whole]
    seen = inputs if scale == 1 else resize(inputs, size)
    if flip:
        seen = seen.flip(-1)
    below, right = (-side % divisor for side in size)
    maps = predict(F.pad(seen, (0, right, 0, below)), samples, options)

    def back(name: str, values: Tensor) -> Tensor:
        values = values[..., :size[0], :size[1]]
        if flip:
            values = tasks[name].mirror(values)
        return values if scale == 1 else tasks[name].rescale(resize(values, whole), 1 / scale)

    return {output: {name: back(name, values) for name, values in by_task.items()}
            for output, by_task in maps.items()}
