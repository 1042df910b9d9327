"""Human parsing."""

from collections.abc import Sequence

import numpy as np

from mtpsl.registry import TASKS

from .categorical import CategoricalTask
from .stored import Stored

PART_NAMES = ('background', 'head', 'torso', 'upper arm', 'lower arm', 'upper leg', 'lower leg')
PART_PALETTE = ((0, 0, 0), (230, 75, 53), (77, 187, 213), (0, 160, 135), (243, 155, 127),
                (60, 84, 136), (220, 170, 30))


@TASKS.register_module()
class Parsing(CategoricalTask):
    """Six body parts and background: cross-entropy; primary metric mIoU (percent).

    An image without any body part is unknown as a whole.

    Args:
        loss_weight: see :class:`Task`; PASCAL's published weight is 2.
        absent_iou: see :class:`CategoricalTask`.
        class_weight: see :class:`CategoricalTask`.
        values: see :class:`CategoricalTask`.
        ignore: see :class:`CategoricalTask`.
    """

    def __init__(self, loss_weight: float = 2.0, absent_iou: float | None = None,
                 class_weight: Sequence[float] | None = None,
                 values: Sequence[Stored] | None = None,
                 ignore: Sequence[int] | None = None) -> None:
        super().__init__(PART_NAMES, PART_PALETTE, loss_weight, absent_iou, class_weight, values,
                         ignore)

    def mark_ignored(self, label: np.ndarray) -> np.ndarray:
        if ((label > 0) & (label < self.channels)).any():
            return label
        return np.full_like(label, self.ignore_value)
