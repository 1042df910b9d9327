"""Maps of classes for auxiliary networks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import masked_mean


class ClassCodes:
    """Mixin of a task whose logits are those of classes: a channel each, also in the codes.

    The label holds class ids; ids that are none of the classes, such as ``fill``, are unknown.
    """

    channels: int

    @property
    def code_channels(self) -> int:
        return self.channels

    def encode(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """One-hot samples, or probabilities; unknown pixels are zero in all classes.

        Samples are Gumbel-softmax ones with temperature 1, straight through: their gradient is
        that of the soft sample.
        """
        maps = F.gumbel_softmax(logits, dim=1, hard=True) if hard else logits.softmax(1)
        return maps if known is None else maps * known

    def encode_label(self, label: Tensor) -> Tensor:
        """(N, 1, H, W) class ids to (N, C, H, W), one-hot."""
        ids = torch.arange(self.channels, device=label.device).view(1, -1, 1, 1)
        return (label == ids).float()

    def reconstruction_loss(self, output: Tensor, code: Tensor, known: Tensor) -> Tensor:
        """Binary cross-entropy summed over the classes, mean over the known pixels, (N,)."""
        return cross_entropy_of_codes(output, code, known)


def cross_entropy_of_codes(output: Tensor, code: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy summed over the channels, mean over the known pixels, (N,)."""
    return masked_mean(F.binary_cross_entropy_with_logits(output, code, reduction='none'), known)
