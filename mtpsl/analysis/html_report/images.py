"""Finds the best and worst images of a test, and draws their panels.

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
from mtpsl.structures.outputs import FINAL
from mtpsl.tasks import Task

Confusion = list[tuple[str, list[float]]]


class Extremes(NamedTuple):
    """Images of a task with their scores, most extreme first."""

    best: list[tuple[str, float]]
    worst: list[tuple[str, float]]


def image_scores(statistics: Mapping[str, Mapping[tuple[str, str], np.ndarray]],
                 tasks: Mapping[str, Task]) -> dict[str, dict[str, float]]:
    """Compute each task's primary metric of each single image.

    Args:
        statistics: :attr:`mtpsl.evaluation.MultiTaskMetric.image_statistics`.
        tasks: task name -> task.

    Returns:
        task name -> image id -> metric of the final prediction, if the image is labelled and the
        metric is defined.
    """
    scores: dict[str, dict[str, float]] = {name: {} for name in tasks}
    for image, stats in sorted(statistics.items()):
        for name, task in tasks.items():
            if (FINAL, name) in stats:
                row = torch.from_numpy(np.asarray(stats[FINAL, name]))[None]
                value = task.score(row)[task.primary_metric]
                if math.isfinite(value):
                    scores[name][image] = value
    return scores


def confusions(statistics: Mapping[str, Mapping[tuple[str, str], np.ndarray]],
               tasks: Mapping[str, Task]) -> dict[str, Confusion]:
    """Compute confusion matrices of final predictions over all images, for tasks with classes.

    Args:
        statistics: :attr:`mtpsl.evaluation.MultiTaskMetric.image_statistics`.
        tasks: task name -> task.

    Returns:
        task name -> a row per class: its name, and the share of its pixels predicted as each
        class, 0 to 1; NaN for classes without pixels.
    """
    found = {}
    for name, task in tasks.items():
        rows = [stats[FINAL, name] for stats in statistics.values() if (FINAL, name) in stats]
        if not rows:
            continue
        matrix = task.confusion_matrix(torch.from_numpy(np.stack(rows)))
        if matrix is not None:
            shares = matrix / matrix.sum(1, keepdim=True)  # 0 / 0 is NaN
            names = [key.partition('.')[2] for key in task.class_scores(matrix.flatten()[None])]
            found[name] = list(zip(names, shares.tolist()))
    return found


def extremes(scores: Mapping[str, float], higher_is_better: bool, number: int) -> Extremes:
    """Return the ``number`` best and worst images of a task; no image is both."""
    ordered = sorted(scores.items(), key=lambda item: item[1], reverse=higher_is_better)
    best = ordered[:number]
    return Extremes(best, ordered[len(best):][:-number - 1:-1])


def redraw(images: Collection[str], dataset: BaseDataset, model: BaseModel,
           visualizer: MultiTaskVisualizer) -> Iterator[tuple[str, np.ndarray]]:
    """Predict some images of a test set again and draw their panels, (H', W', 3) uint8 RGB.

    The noise depends on the image's id, so these are the predictions that were scored.
    """
    index = {dataset.get_data_info(i)['img_id']: i for i in range(len(dataset))}
    for image in images:
        data = pseudo_collate([dataset[index[image]]])
        bgr = data['inputs'][0]
        with torch.no_grad():
            sample, = model.test_step(data)
        yield image, visualizer.panel(bgr.numpy().transpose(1, 2, 0)[..., ::-1], sample)
