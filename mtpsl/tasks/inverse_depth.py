"""Inverse depth estimation."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mtpsl.registry import TASKS

from .base import Label
from .depth import Depth
from .seen import Doubt, Seen

STEP = 1 / 65535  # of the 16-bit maps of Cityscapes


@TASKS.register_module()
class InverseDepth(Depth):
    """Inverse depth (or disparity) by L1, scored by the mean absolute error in its own unit.

    Label and prediction: proportional to 1 / metres; 0 is unknown. Of the metrics of
    :class:`Depth`, ``logRmse`` is that of the depth itself: the logarithm only changes its sign.

    Args:
        loss_weight: see :class:`Task`.
        max_display: value at the near end of the colour map.
        png_unit: one step of a map saved as a picture of integers, > 0; None for 1 / 65535,
            the unit of the Cityscapes archive that the literature shares.
        divide_when_zoomed: divide by the zoom as if it were depth, which is the wrong way round:
            what the predecessors' code does, for parity with their numbers.
        npy_unit: what 1 in a ``.npy`` label is, > 0; None for 1, in floats.
        ignore: values, as read with the units, that mean unknown beside 0.
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
        if self._unit_said(seen) or seen.published or not seen.slopes(1):
            return None
        return Doubt('are larger above than below in nearly all images, as depth is, while inverse '
                     "depth is large where it is near: if it is depth, the task's type is Depth; "
                     'npy_unit or png_unit of the task says that it is not')

    def rescale(self, label: Label, scale: float | Tensor) -> Label:
        """Zooming in by ``scale`` brings the scene nearer: inverse depth grows by the factor."""
        return super().rescale(label, scale if self.divide_when_zoomed else 1 / scale)

    def _nearness(self, share: np.ndarray) -> np.ndarray:
        return share
