"""The part of a task that methods with auxiliary objectives (SS, XTC, JTR) use.

Shapes: N samples, C channels of the logits, c channels of the label map, H x W pixels.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

CONFIDENCE = 0.95  # least probability of a class to become a pseudo-label
AGREEMENT = 0.1  # largest difference between the values of two views for a pseudo-label


class AuxiliaryMaps:
    """Pseudo-labels, and the inputs of auxiliary networks from predictions and labels.

    The defaults suit regression tasks; other tasks override them.
    """

    ignore_value: float

    if TYPE_CHECKING:  # attributes of the task
        @property
        def label_channels(self) -> int: ...
        def activate(self, logits: Tensor) -> Tensor: ...
        def decode(self, prediction: Tensor) -> Tensor: ...
        def valid(self, label: Tensor) -> Tensor: ...

    @property
    def aux_channels(self) -> int:
        """Return the number of channels of :meth:`aux_map`."""
        return self.label_channels

    def pseudo_label(self, teacher: Tensor, student: Tensor, confidence: float = CONFIDENCE,
                     agreement: float = AGREEMENT) -> Tensor:
        """Make a label for one view of an image from the prediction for another view.

        Default (regression): the teacher's value where teacher and student differ by less than
        ``agreement`` in all channels; ``ignore_value`` elsewhere.

        Args:
            teacher: prediction, warped to the student's view.
            student: prediction of the same shape.
            confidence: least probability of a class or of the foreground.
            agreement: largest difference between the values of the two views.

        Returns:
            (N, c, H, W) label map, unknown where the teacher is not reliable.
        """
        label = self.decode(teacher)
        agree = ((label - self.decode(student)).abs() < agreement).all(1, keepdim=True)
        return torch.where(agree, label, self.ignore_value)

    def aux_map(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """Convert a prediction to the input of an auxiliary network: in [0, 1], differentiable.

        Default: the prediction itself.

        Args:
            logits: (N, C, H, W).
            known: (N, 1, H, W) bool; other pixels become unknown, as in :meth:`aux_from_label`.
            hard: return classes as one-hot samples (straight-through Gumbel-softmax) instead of
                probabilities.

        Returns:
            (N, aux_channels, H, W).
        """
        maps = self.activate(logits)
        return maps if known is None else maps * known

    def aux_from_label(self, label: Tensor) -> Tensor:
        """Convert labels (N, c, H, W) to maps like :meth:`aux_map`; unknown pixels are 0."""
        return label * self.valid(label)

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Compare an auxiliary network's output with a map of :meth:`aux_map`.

        Default: L1 between the output's sigmoid and the map, summed over channels.

        Args:
            output: (N, aux_channels, H, W), not yet activated.
            target: (N, aux_channels, H, W).
            known: (N, 1, H, W) bool, the pixels to average over.

        Returns:
            (N,) means over the known pixels.
        """
        return masked_mean((output.sigmoid() - target).abs(), known)


class ClassAuxMaps:
    """Mixin for tasks with one logit and one auxiliary channel per class.

    The label holds class ids; all other values, such as ``ignore_value``, are unknown.
    """

    channels: int

    @property
    def aux_channels(self) -> int:
        return self.channels

    def aux_map(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """Return one-hot samples, or probabilities; unknown pixels are zero in all classes.

        Samples are straight-through Gumbel-softmax ones with temperature 1: they have the gradient
        of the soft sample.
        """
        maps = F.gumbel_softmax(logits, dim=1, hard=True) if hard else logits.softmax(1)
        return maps if known is None else maps * known

    def aux_from_label(self, label: Tensor) -> Tensor:
        """Convert class ids (N, 1, H, W) to one-hot maps (N, C, H, W)."""
        ids = torch.arange(self.channels, device=label.device).view(1, -1, 1, 1)
        return (label == ids).float()

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Return binary cross-entropy, summed over classes, averaged over known pixels, (N,)."""
        return aux_cross_entropy(output, target, known)


def aux_cross_entropy(output: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return binary cross-entropy, summed over channels, averaged over the known pixels, (N,)."""
    return masked_mean(F.binary_cross_entropy_with_logits(output, target, reduction='none'), known)


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Average over the known pixels of each sample.

    Args:
        values: (N, ..., H, W), any value where unknown.
        valid: (N, 1, H, W) bool.

    Returns:
        (N,); 0 for a sample without known pixels.
    """
    total = torch.where(valid, values.reshape(len(valid), -1, *valid.shape[-2:]), 0)
    return total.flatten(1).sum(1) / valid.flatten(1).sum(1).clamp(min=1)


def per_sample(losses: Tensor, samples: int, source: str) -> Tensor:
    """Return losses if there is one per sample; another shape would be broadcast by weights.

    Args:
        losses: what a function returned.
        samples: N.
        source: the function, for the error.

    Returns:
        The same (N,) losses; values are not read, so that no device is waited for.

    Raises:
        ValueError: the shape is not (N,).
    """
    shape = getattr(losses, 'shape', type(losses).__name__)
    if shape != (samples,):
        got = shape if isinstance(shape, str) else tuple(shape)
        raise ValueError(f'{source} must return one loss per sample, of shape ({samples},), got '
                         f'{got}: average over channels and pixels, not over samples')
    return losses
