"""Losses of a student on a teacher's predictions, for unlabelled tasks (HiTTs, stage 2).

Shapes: N samples, C channels of a task's logits, K of its bins' scores, H x W pixels of the input.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtpsl.models.to_device import resize
from mtpsl.registry import MODELS
from mtpsl.tasks import Task
from mtpsl.tasks.base import per_sample


class TeacherMaps(NamedTuple):
    """A teacher's outputs for the samples, without gradients.

    Attributes:
        logits: of the task, (N, C, h, w).
        scores: logits of its bins, or ``logits`` for a task without bins, (N, K, h, w).
        size: H and W.
    """

    logits: Tensor
    scores: Tensor
    size: Sequence[int]

    def prediction(self, task: Task) -> Tensor:
        """Return the prediction (N, C, H, W), see ``Task.activate``."""
        return task.activate(resize(self.logits.float(), self.size))

    def lead(self, temperature: float) -> Tensor:
        """Return the largest softmax(temperature scores), (N, 1, H, W)."""
        full = resize(self.scores.float(), self.size)
        return (temperature * full).softmax(1).amax(1, keepdim=True)


class PseudoLoss(ABC):
    """The loss of the samples that are not labelled for a task.

    Args:
        threshold: the teacher's confidence must exceed it, in [0, 1).
        weight: factor on the loss, >= 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, threshold: float, weight: float = 1.0) -> None:
        if not (0 <= threshold < 1 and weight >= 0):
            raise ValueError(f'{type(self).__name__}: threshold must be in [0, 1) and weight >= 0, '
                             f'got {threshold} and {weight}')
        self.threshold = threshold
        self.weight = weight

    @abstractmethod
    def check(self, task: Task, binned: bool) -> None:
        """Raise ValueError if the loss is unsuitable for the task; ``binned``: it has bins."""

    @abstractmethod
    def loss(self, task: Task, logits: Tensor, teacher: TeacherMaps) -> Tensor:
        """Return the loss of each sample, (N,), from student logits (N, C, H, W); unweighted."""


@MODELS.register_module()
class PseudoLabel(PseudoLoss):
    """The task's own loss against the teacher's class (or 0 or 1), where the teacher is confident.

    Args:
        threshold: probability above which the teacher's class becomes a label.
        weight: see :class:`PseudoLoss`.
        over: 'all' divides by all pixels, so that few confident pixels have a small weight; 'kept'
            divides by the confident pixels.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, threshold: float, weight: float = 1.0, over: str = 'all') -> None:
        super().__init__(threshold, weight)
        if over not in ('all', 'kept'):
            raise ValueError(f"PseudoLabel: over must be 'all' or 'kept', got {over!r}")
        self.over = over

    def check(self, task: Task, binned: bool) -> None:
        if np.dtype(task.label_dtype).kind != 'u':
            raise ValueError(f'PseudoLabel is for class and binary tasks, {task.name} is a '
                             'regression task: use PseudoValue with bins of the decoder')

    def loss(self, task: Task, logits: Tensor, teacher: TeacherMaps) -> Tensor:
        prediction = teacher.prediction(task)
        label = task.pseudo_label(prediction, prediction, self.threshold)
        loss = per_sample(task.loss(logits, label), len(label), f'loss of the task {task.name}')
        if self.over == 'kept':
            return loss
        return loss * task.valid(label).flatten(1).float().mean(1)


@MODELS.register_module()
class PseudoValue(PseudoLoss):
    """L1 to the teacher's values, weighted by its confidence where that exceeds a threshold.

    The confidence is s = max_k softmax(temperature z_k) of the teacher's scores z; the loss is the
    mean of abs(student - teacher) s [s > threshold] over all pixels and channels.

    Args:
        threshold: confidence above which a pixel counts.
        weight: see :class:`PseudoLoss`.
        temperature: factor on the scores, > 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, threshold: float, weight: float = 1.0, temperature: float = 5.0) -> None:
        super().__init__(threshold, weight)
        if not temperature > 0:
            raise ValueError(f'PseudoValue: temperature must be > 0, got {temperature}')
        self.temperature = temperature

    def check(self, task: Task, binned: bool) -> None:
        if not binned:
            raise ValueError(f'PseudoValue needs bins of {task.name} to measure the confidence '
                             f'of the teacher: decoder.bins has no {task.name}')

    def loss(self, task: Task, logits: Tensor, teacher: TeacherMaps) -> Tensor:
        score = teacher.lead(self.temperature)
        kept = torch.where(score > self.threshold, score, 0)
        return ((task.activate(logits) - teacher.prediction(task)).abs() * kept).flatten(1).mean(1)


@MODELS.register_module()
class WaveringBoundary(PseudoLoss):
    """The published code's pseudo-labels of boundaries, only for parity with its numbers.

    Its mask is inverted: with p the teacher's probability, the pixels with abs(2 p - 1) < threshold
    count, and have the label [p > 0.99]. So the student learns "no boundary" wherever the teacher
    is uncertain. The mean is over the pixels that count.

    Args:
        threshold: published 0.99.
        weight: published 0.05.
    """

    def __init__(self, threshold: float = 0.99, weight: float = 0.05) -> None:
        super().__init__(threshold, weight)

    def check(self, task: Task, binned: bool) -> None:
        if np.dtype(task.label_dtype).kind != 'u' or task.channels != 1:
            raise ValueError(f'WaveringBoundary is for a binary task of one channel, {task.name} '
                             'is another task')

    def loss(self, task: Task, logits: Tensor, teacher: TeacherMaps) -> Tensor:
        p = teacher.prediction(task)
        kept = (2 * p - 1).abs() < self.threshold
        label = torch.where(kept, (p > 0.99).to(torch.uint8), task.ignore_value)
        return task.loss(logits, label.to(torch.uint8))
