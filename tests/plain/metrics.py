"""Evidence of predictions as the published code gathers it: a loop over classes or thresholds."""

import numpy as np
import torch
from torch import Tensor

from mtpsl.tasks import Task
from mtpsl.tasks.categorical import CategoricalTask


def statistics(task: Task, prediction: Tensor, label: Tensor) -> dict[str, list[float]]:
    """What a batch adds to the sums of a metric.

    Args:
        task: a task with classes, or saliency.
        prediction: predictions, (N, C, H, W).
        label: (N, 1, H, W).
    """
    if isinstance(task, CategoricalTask):
        # As the published code turns predictions into classes.
        return class_counts(prediction.permute(0, 2, 3, 1).max(dim=3)[1], label[:, 0],
                            task.channels)
    return threshold_counts(prediction[:, 0], label[:, 0])


def class_counts(classes: Tensor, label: Tensor, number: int) -> dict[str, list[float]]:
    """True positives, false positives and false negatives of each class."""
    known = label != 255
    counts = dict(tp=[0.0] * number, fp=[0.0] * number, fn=[0.0] * number)
    for k in range(number):
        true, predicted = label == k, classes == k
        counts['tp'][k] += torch.sum(true & predicted & known).item()
        counts['fp'][k] += torch.sum(~true & predicted & known).item()
        counts['fn'][k] += torch.sum(true & ~predicted & known).item()
    return counts


def threshold_counts(probability: Tensor, label: Tensor) -> dict[str, list[float]]:
    """True positives, positives and predicted pixels at 19 thresholds."""
    known = label != 255
    counts = dict(tp=[0.0] * 19, true=[0.0] * 19, predicted=[0.0] * 19)
    for k, threshold in enumerate(np.linspace(0.05, 0.95, 19)):
        true, predicted = (label == 1) & known, (probability > threshold) & known
        counts['tp'][k] += torch.sum(true & predicted).item()
        counts['true'][k] += torch.sum(true).item()
        counts['predicted'][k] += torch.sum(predicted).item()
    return counts
