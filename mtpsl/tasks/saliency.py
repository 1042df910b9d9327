"""Saliency detection."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpsl.registry import TASKS

from .auxiliary import ClassAuxMaps
from .base import masked_mean
from .binary import BinaryTask
from .seen import ENOUGH, Seen
from .stored import Stored

EMPTY, FULL = 0.05, 0.1  # shares of masks of one value, and of a yes everywhere, to tell of


@TASKS.register_module()
class Saliency(ClassAuxMaps, BinaryTask):
    """Salient foreground: balanced two-class cross-entropy; primary metric maxF (percent).

    Label: 1 foreground, 0 background, 255 unknown. Prediction: foreground probability.

    Args:
        loss_weight: see :class:`Task`; PASCAL's published weight is 5.
        double_sigmoid: apply a second sigmoid to the probability before the thresholds, as the
            reference implementation does by accident. Of its 19 thresholds only those from 0.50 to
            0.73 then have an effect. Only for comparison with published numbers.
        values: see :class:`BinaryTask`.
        ignore: see :class:`BinaryTask`.
    """

    channels = 2
    primary_metric = 'maxF'
    BETA_SQUARED = 0.3

    def __init__(self, loss_weight: float = 5.0, double_sigmoid: bool = False,
                 values: Sequence[Stored] | None = None,
                 ignore: Sequence[int] | None = None) -> None:
        super().__init__(loss_weight, values, ignore)
        self.double_sigmoid = double_sigmoid

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return cross-entropy; each class is weighted by the pixel share of the other class."""
        valid, positive = self.valid(label), label == 1
        known = valid.flatten(1).sum(1).clamp(min=1)
        positive_share = (positive.flatten(1).sum(1) / known)[:, None, None, None]
        weight = torch.where(positive, 1 - positive_share, positive_share)
        pixel = F.cross_entropy(logits, positive[:, 0].long(), reduction='none')
        return masked_mean(pixel * weight[:, 0], valid)

    def idle(self, seen: Seen) -> str:
        known = [one for one in seen.labels if one.known]
        flat = sum(float(one.low.min()) == float(one.high.max()) for one in known)
        if seen.published or len(known) < ENOUGH or flat < EMPTY * len(known):
            return ''
        full = [one for one in known if one.low.min() > 0]
        failed = (f'. {len(full)} of them are a yes everywhere, such as {full[0].source}: did what '
                  'made them fail there?' if len(full) >= max(2, FULL * len(known)) else '')
        return (f'are of one value in {flat} of {len(known)}, no yes or no no: the balanced loss '
                'of such an image is 0, so nothing is learned from it, and its other labels weigh '
                "less. A Semseg of two classes, class_names=('no', 'yes') and values=(0, 255), "
                f'learns from images without an object{failed}')

    def activate(self, logits: Tensor) -> Tensor:
        return logits.softmax(1)[:, 1:]

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Return (N, 2 * 20): histogram over threshold bins of negative, then positive pixels."""
        if self.double_sigmoid:
            prediction = prediction.sigmoid()
        # 0.05, 0.10 .. 0.95, created on the device: a copy from the CPU would synchronise.
        thresholds = 0.05 * torch.arange(1, 20, device=prediction.device, dtype=prediction.dtype)
        bins = len(thresholds) + 1
        cell = torch.bucketize(prediction.contiguous(), thresholds) + bins * (label == 1)
        cell = torch.where(self.valid(label), cell, 2 * bins).flatten(1)
        counts = cell.new_zeros(len(label), 2 * bins + 1)
        counts.scatter_add_(1, cell, torch.ones_like(cell))
        return counts[:, :-1].double()

    def score(self, stats: Tensor) -> dict[str, float]:
        """Compute maxF, the maximum over thresholds of (1 + b) P R / (b P + R) with b = 0.3."""
        negative, positive = stats.sum(0).view(2, -1)
        # A pixel in bin k passes thresholds 0..k-1, so bins > k pass threshold k.
        true_positive = positive.flip(0).cumsum(0).flip(0)[1:]
        false_positive = negative.flip(0).cumsum(0).flip(0)[1:]
        precision = true_positive / (true_positive + false_positive).clamp(min=1)
        recall = true_positive / positive.sum().clamp(min=1)
        beta = self.BETA_SQUARED
        f_measure = (1 + beta) * precision * recall / (beta * precision + recall).clamp(min=1e-12)
        return {self.primary_metric: 100 * f_measure.max().item() if stats.any() else math.nan}
