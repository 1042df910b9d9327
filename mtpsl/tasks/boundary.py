"""Object boundary detection."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtpsl.registry import TASKS

from .auxiliary import aux_cross_entropy
from .base import masked_mean
from .binary import BinaryTask
from .boundary_match import boundary_counts, boundary_scores
from .seen import ENOUGH, SOME, Doubt, Seen
from .stored import Stored

WIDER = 1.75  # lines of a set: by less, slants and junctions change their measured width


@TASKS.register_module()
class Boundary(BinaryTask):
    """Object boundaries: weighted binary cross-entropy; metrics odsF, oisF and AP (percent).

    Label: 1 boundary, 0 not, 255 unknown. Prediction: boundary probability.

    Args:
        loss_weight: see :class:`Task`; PASCAL's published weight is 50.
        positive_weight: w, weight of boundary pixels; other pixels weigh 1 - w.
        max_dist: largest matching distance as a share of the image diagonal: 0.0075 on PASCAL,
            0.011 on NYUD.
        values: see :class:`BinaryTask`.
        ignore: see :class:`BinaryTask`.
    """

    channels = 1
    primary_metric = 'odsF'
    beside_figures = ('loss_weight', 'positive_weight')
    stats_on_cpu = True
    least_side = 2  # the direction across a boundary needs a neighbouring pixel
    reader_interpolation = 'any'

    def __init__(self, loss_weight: float = 50.0, positive_weight: float = 0.95,
                 max_dist: float = 0.0075, values: Sequence[Stored] | None = None,
                 ignore: Sequence[int] | None = None) -> None:
        super().__init__(loss_weight, values, ignore)
        if not 0 < positive_weight < 1:
            raise ValueError(f'Boundary: positive_weight must be in (0, 1), got {positive_weight}')
        if not 0 <= max_dist < 1:
            raise ValueError(f'Boundary: max_dist must be in [0, 1), got {max_dist}')
        self.positive_weight = positive_weight
        self.max_dist = max_dist

    def resize(self, label: np.ndarray, size: tuple[int, int],
               interpolation: str = 'nearest') -> np.ndarray:
        """Resize; with ``'any'`` a pixel of a smaller map is 1 if any pixel that it covers is.

        ``'nearest'`` would lose thin lines.
        """
        nearest = super().resize(label, size)
        if interpolation != 'any' or size[0] > label.shape[0] or size[1] > label.shape[1]:
            return nearest
        yes = label == 1
        for axis, side in enumerate(size):
            # For each output pixel, the first input pixel whose centre it covers.
            first = np.ceil(np.arange(side) * (label.shape[axis] / side) - 0.5).astype(int)
            yes = np.logical_or.reduceat(yes, first, axis)
        return np.where(yes, np.uint8(1), np.where(nearest == 1, np.uint8(0), nearest))

    def doubt(self, seen: Seen) -> Doubt | None:
        filled = [one.some.mean() > 0.5 for one in seen.labels if one.known]
        doubt = super().doubt(seen)
        if doubt or seen.published:
            return doubt
        if 2 * sum(filled) <= len(filled):
            return self._doubt_regions(seen)
        return Doubt('are a yes on more than half of the pixels of most labels, as black lines on '
                     'white are: set values=(255, 0) of the task, or (1, 0) if the numbers are 0 '
                     'and 1, to make black a yes; values=(0, 255), or (0, 1), to make it a no',
                     certain=not self.stored.said)

    def _doubt_regions(self, seen: Seen) -> Doubt | None:
        cores = [one.core > 0.5 for one in seen.labels if one.known and one.high.max() == 1]
        return Doubt('are a yes all over regions, not on lines: most of these pixels do not lie '
                     'near any no. Are they masks? A boundary is a yes where two regions meet, '
                     'and nowhere else') if 2 * sum(cores) > len(cores) else None

    def two_conventions(self, one: Seen, other: Seen, names: tuple[str, str]) -> str:
        return super().two_conventions(one, other, names) or _other_width(one, other, names)

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the mean over known pixels of w y (-log p) + (1 - w) (1 - y) (-log(1 - p))."""
        positive, w = label == 1, self.positive_weight
        pixel = F.binary_cross_entropy_with_logits(
            logits, positive.to(logits.dtype), torch.where(positive, w, 1 - w), reduction='none')
        return masked_mean(pixel, self.valid(label))

    def activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def aux_from_label(self, label: Tensor) -> Tensor:
        return (label == 1).float()

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        return aux_cross_entropy(output, target, known)

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Return (N, 1 + 101 * 4): known pixels, then ``boundary_counts`` per threshold."""
        maps, truths = prediction[:, 0].float().cpu().numpy(), label[:, 0].cpu().numpy()
        rows = [np.append(known.sum(), boundary_counts(p, y == 1, known, self.max_dist))
                for p, y, known in zip(maps, truths, truths != self.ignore_value)]
        return torch.from_numpy(np.stack(rows).astype(np.float64))

    def score(self, stats: Tensor) -> dict[str, float]:
        scores = boundary_scores(stats[:, 1:].numpy().reshape(len(stats), -1, 4))
        return scores if stats[:, 0].any() else dict.fromkeys(scores, math.nan)


def _other_width(one: Seen, other: Seen, names: tuple[str, str]) -> str:
    """Report if lines of two sets differ in width, in pixels and as a share of the image's side."""
    drawn = [[label for label in seen.labels if label.width] for seen in (one, other)]
    if min(map(len, drawn)) < SOME or max(map(len, drawn)) < ENOUGH:
        return ''
    widths = [np.array([label.width for label in labels]) for labels in drawn]
    shares = [width / np.sqrt([label.pixels for label in labels])
              for width, labels in zip(widths, drawn)]
    if not any(all(_wider(*measures[::step]) for measures in (widths, shares))
               for step in (1, -1)):
        return ''
    return ('hold lines that are {2:.2g} pixels wide in {0} and {3:.2g} in {1}, in the middle: are '
            'they drawn alike? Draw both in one width: metrics and loss count the pixels of a '
            'line'.format(*names, *map(np.median, widths)))


def _wider(wide: np.ndarray, narrow: np.ndarray) -> bool:
    """Return whether widths in one set are larger, nine of ten than nine of ten of the other."""
    return bool(np.median(wide) >= WIDER * np.median(narrow)
                and np.quantile(wide, 0.1) > np.quantile(narrow, 0.9))
