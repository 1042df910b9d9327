"""What a task's score returns, and whether its primary metric is among that."""

from collections.abc import Mapping

import numpy as np
import torch

from mtpsl.tasks import Task


@torch.no_grad()
def tiny_scores(task: Task, per_class: bool = False) -> dict[str, float]:
    """Score a made-up prediction of a few pixels against itself: the names are those of any score.

    Args:
        task: the task; errors of its functions are passed on.
        per_class: add those of each class.
    """
    side = max(task.least_side, 8)
    logits = torch.linspace(-1, 1, task.channels * side ** 2)  # random ones would move the seed
    prediction = task.activate(logits.view(1, task.channels, side, side))
    whole = np.dtype(task.label_dtype).itemsize == 1
    label = task.decode(prediction).to(torch.uint8 if whole else torch.float32)
    stats = task.stats(prediction, label)
    return task.score(stats) | (task.class_scores(stats) if per_class else {})


def primary_score(task: Task, scores: Mapping[str, float]) -> float:
    """Return the primary metric among the scores of a task.

    Raises:
        ValueError: it is not there.
    """
    if task.primary_metric not in scores:
        raise ValueError(f'score of the task {task.name} ({type(task).__name__}) must return its '
                         f'primary_metric {task.primary_metric!r}, it returned '
                         f'{", ".join(scores) or "nothing"}')
    return scores[task.primary_metric]


def check_primary(task: Task) -> None:
    """Raise ValueError where a task's score is seen to lack its primary metric.

    A task whose functions cannot take the made-up maps is not judged.
    """
    try:
        scores = tiny_scores(task)
    except Exception:  # functions of the user's may fail in any way, perhaps on these maps alone
        return
    primary_score(task, scores)
