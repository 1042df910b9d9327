"""What methods with auxiliary objectives (SS, XTC, JTR) ask of a task.

Shapes: N samples, C channels of the logits, c channels of the label map, H x W pixels.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

CONFIDENCE = 0.95  # least probability of a class that is taken for a pseudo-label
AGREEMENT = 0.1  # largest difference of two views' values where one is taken for a pseudo-label


class AuxiliaryMaps:
    """Pseudo-labels, and how predictions and labels enter an auxiliary network.

    Here for tasks of values; a task overrides what is otherwise for it.
    """

    ignore_value: float

    if TYPE_CHECKING:  # of the task
        @property
        def label_channels(self) -> int: ...
        def activate(self, logits: Tensor) -> Tensor: ...
        def decode(self, prediction: Tensor) -> Tensor: ...
        def valid(self, label: Tensor) -> Tensor: ...

    @property
    def aux_channels(self) -> int:
        """Channels of :meth:`aux_map`'s maps."""
        return self.label_channels

    def pseudo_label(self, teacher: Tensor, student: Tensor, confidence: float = CONFIDENCE,
                     agreement: float = AGREEMENT) -> Tensor:
        """A label for one view of an image from the prediction for another view.

        Here, for values: the teacher's, where the student's differ by less than ``agreement`` in
        all channels; ``ignore_value`` elsewhere.

        Args:
            teacher: prediction, already in the student's geometry.
            student: prediction of the same shape.
            confidence: least probability of a class or a yes that is trusted.
            agreement: largest difference of the two views' values that is trusted.

        Returns:
            (N, c, H, W) label map, unknown where the teacher is not to be trusted.
        """
        label = self.decode(teacher)
        agree = ((label - self.decode(student)).abs() < agreement).all(1, keepdim=True)
        return torch.where(agree, label, self.ignore_value)

    def aux_map(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """How a prediction enters an auxiliary network: a map in [0, 1], differentiable.

        Here the prediction's values as they are.

        Args:
            logits: (N, C, H, W).
            known: (N, 1, H, W) bool; other pixels enter as a label's unknown ones do.
            hard: give classes as one-hot samples (Gumbel, straight through), not as
                probabilities.

        Returns:
            (N, aux_channels, H, W).
        """
        maps = self.activate(logits)
        return maps if known is None else maps * known

    def aux_from_label(self, label: Tensor) -> Tensor:
        """(N, c, H, W) labels to maps as :meth:`aux_map` gives them; here unknown pixels are 0."""
        return label * self.valid(label)

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """How far an auxiliary network's output is from a map of :meth:`aux_map`.

        Here L1 between the output's sigmoid and the map, summed over channels.

        Args:
            output: (N, aux_channels, H, W), not yet activated.
            target: the map that it should be.
            known: (N, 1, H, W) bool, the pixels that count.

        Returns:
            (N,) means over the known pixels.
        """
        return masked_mean((output.sigmoid() - target).abs(), known)


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


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the known pixels of each sample.

    Args:
        values: (N, ..., H, W), zero or garbage where unknown.
        valid: (N, 1, H, W) bool.

    Returns:
        (N,); 0 where a sample has no known pixel.
    """
    total = torch.where(valid, values.reshape(len(valid), -1, *valid.shape[-2:]), 0)
    return total.flatten(1).sum(1) / valid.flatten(1).sum(1).clamp(min=1)
