"""Object boundary detection."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtpsl.registry import TASKS

from .base import Task, masked_mean
from .boundary_match import boundary_counts, boundary_scores
from .saliency import _check_binary, grey_picture


@TASKS.register_module()
class Boundary(Task):
    """Object boundaries by a weighted binary cross-entropy, scored by odsF, oisF and AP (percent).

    Label: 1 boundary, 0 not, 255 unknown. Public prediction: boundary probability.

    Args:
        loss_weight: see :class:`Task`; PASCAL's published weight is 50.
        positive_weight: w, weight of a boundary pixel; other pixels weigh 1 - w.
        max_dist: largest distance of a match as a share of the image diagonal: 0.0075 on PASCAL,
            0.011 on NYUD.
    """

    channels = 1
    fill = 255
    headline = 'odsF'
    higher_is_better = True
    host_stats = True

    def __init__(self, loss_weight: float = 50.0, positive_weight: float = 0.95,
                 max_dist: float = 0.0075) -> None:
        super().__init__(loss_weight)
        if not 0 < positive_weight < 1:
            raise ValueError(f'Boundary: positive_weight must be in (0, 1), got {positive_weight}')
        self.positive_weight = positive_weight
        self.max_dist = max_dist

    def check(self, label: np.ndarray) -> None:
        _check_binary(self.name, label)

    def valid(self, label: Tensor) -> Tensor:
        return label != self.fill

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean over known pixels of w y (-log p) + (1 - w) (1 - y) (-log(1 - p))."""
        valid, w = self.valid(label), self.positive_weight
        pixel = F.binary_cross_entropy_with_logits(
            logits, (label == 1).to(logits.dtype), reduction='none',
            pos_weight=logits.new_tensor(w / (1 - w)))
        return masked_mean(pixel * (1 - w), valid)

    def activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """(N, 101 * 4): the matched and total pixels of each threshold, see ``boundary_counts``."""
        maps = prediction[:, 0].float().cpu().numpy()
        truths = label[:, 0].cpu().numpy()
        counts = [boundary_counts(p, y == 1, y != self.fill, self.max_dist)
                  for p, y in zip(maps, truths)]
        return torch.from_numpy(np.stack(counts).reshape(len(counts), -1).astype(np.float64))

    def score(self, stats: Tensor) -> dict[str, float]:
        return boundary_scores(stats.numpy().reshape(len(stats), -1, 4))

    def colorize(self, label: np.ndarray) -> np.ndarray:
        return grey_picture(label)
