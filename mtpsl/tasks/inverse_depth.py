"""Inverse depth estimation."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mtpsl.registry import TASKS

from .base import Label
from .depth import Depth
from .seen import Doubt, Seen

STEP = 1 / 65535  # unit of the 16-bit maps of Cityscapes


@TASKS.register_module()
class InverseDepth(Depth):
    """Inverse depth (or disparity): L1 loss; primary metric mean absolute error in its own unit.

    Label and prediction: proportional to 1 / metres; 0 is unknown. The metric ``logRmse`` of
    :class:`Depth` has the same value for depth and its inverse.

    Args:
        loss_weight: see :class:`Task`.
        max_display: value at the near end of the colour map.
        png_unit: value of one step of an integer picture, > 0; None for 1 / 65535, the unit of the
            Cityscapes archive used in the literature.
        divide_when_zoomed: divide by the zoom as if it were depth. This is wrong, but the
            published code does it; only for parity with its numbers.
        npy_unit: value of 1 in a ``.npy`` label, > 0; None for 1, in floats.
        ignore: values, after applying the units, that mean unknown in addition to 0.
    """

    unit = ''
    metric = False
    smallest = STEP

    def __init__(self, loss_weight: float = 1.0, max_display: float = 0.5,
                 png_unit: float | None = None, divide_when_zoomed: bool = False,
                 npy_unit: float | None = None,
                 ignore: Sequence[float | str] | None = None) -> None:
        super().__init__(loss_weight, max_display, png_unit, npy_unit=npy_unit,
                         ignore=ignore)
        self.divide_when_zoomed = divide_when_zoomed

    def _doubt_unit(self, seen: Seen) -> Doubt | None:
        if self.unit_said(seen) or seen.published or not seen.slopes(1):
            return None
        return Doubt('are larger above than below in nearly all images, as depth is, while inverse '
                     "depth is large where it is near: if it is depth, the task's type is Depth; "
                     'if not, set npy_unit or png_unit of the task')

    def rescale(self, label: Label, scale: float | Tensor) -> Label:
        """Multiply by ``scale``: zooming in brings it nearer; see ``divide_when_zoomed``."""
        return super().rescale(label, scale if self.divide_when_zoomed else 1 / scale)

    def _nearness(self, share: np.ndarray) -> np.ndarray:
        return share
