"""Which images went well, which badly, and their panels.

Shapes: K statistics per image; H x W pixels.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.model import BaseModel

from mtpsl.engine.visualization import MultiTaskVisualizer
from mtpsl.tasks import Task


class Extremes(NamedTuple):
    """Images of a task with their scores, the most extreme first."""

    best: list[tuple[str, float]]
    worst: list[tuple[str, float]]


def image_scores(statistics: Mapping[str, Mapping[tuple[str, str], np.ndarray]],
                 tasks: Mapping[str, Task]) -> dict[str, dict[str, float]]:
    """Each task's primary metric of every image by itself.

    Args:
        statistics: :attr:`mtpsl.evaluation.MultiTaskMetric.image_statistics`.
        tasks: task name -> task.

    Returns:
        task name -> image id -> metric of the final prediction, where the image is labelled and
        the metric says something of it.
    """
    scores: dict[str, dict[str, float]] = {name: {} for name in tasks}
    for image, stats in sorted(statistics.items()):
        for name, task in tasks.items():
            if ('pred', name) in stats:
                row = torch.from_numpy(np.asarray(stats['pred', name]))[None]
                value = task.score(row)[task.primary_metric]
                if math.isfinite(value):
                    scores[name][image] = value
    return scores


def extremes(scores: Mapping[str, float], higher_is_better: bool, number: int) -> Extremes:
    """The ``number`` best and worst images of a task; no image is both."""
    ordered = sorted(scores.items(), key=lambda item: item[1], reverse=higher_is_better)
    best = ordered[:number]
    return Extremes(best, ordered[len(best):][:-number - 1:-1])


def redraw(images: Collection[str], dataset: BaseDataset, model: BaseModel,
           visualizer: MultiTaskVisualizer) -> Iterator[tuple[str, np.ndarray]]:
    """Predict some images of a test set again and draw their panels, (H', W', 3) uint8 RGB.

    An image gets the same noise whenever it is predicted, so these are the predictions that were
    scored.
    """
    index = {dataset.get_data_info(i)['img_id']: i for i in range(len(dataset))}
    for image in images:
        data = pseudo_collate([dataset[index[image]]])
        bgr = data['inputs'][0]
        with torch.no_grad():
            sample, = model.test_step(data)
        yield image, visualizer.panel(bgr.numpy().transpose(1, 2, 0)[..., ::-1], sample)
