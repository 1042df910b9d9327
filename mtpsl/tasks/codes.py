"""Maps of classes for auxiliary networks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import masked_mean


class ClassAuxMaps:
    """Mixin of a task whose logits are those of classes: a channel each, also in the codes.

    The label holds class ids; others, such as ``ignore_value``, are unknown.
    """

    channels: int

    @property
    def aux_channels(self) -> int:
        return self.channels

    def aux_map(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """One-hot samples, or probabilities; unknown pixels are zero in all classes.

        Samples are Gumbel-softmax ones with temperature 1, straight through: their gradient is
        that of the soft sample.
        """
        maps = F.gumbel_softmax(logits, dim=1, hard=True) if hard else logits.softmax(1)
        return maps if known is None else maps * known

    def aux_from_label(self, label: Tensor) -> Tensor:
        """(N, 1, H, W) class ids to (N, C, H, W), one-hot."""
        ids = torch.arange(self.channels, device=label.device).view(1, -1, 1, 1)
        return (label == ids).float()

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Binary cross-entropy summed over the classes, mean over the known pixels, (N,)."""
        return aux_cross_entropy(output, target, known)


def aux_cross_entropy(output: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy summed over the channels, mean over the known pixels, (N,)."""
    return masked_mean(F.binary_cross_entropy_with_logits(output, target, reduction='none'), known)
