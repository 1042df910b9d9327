"""Semantic segmentation."""

from collections.abc import Sequence

from mtpsl.registry import TASKS

from .categorical import CategoricalTask, bit_palette

VOC_CLASSES = ('background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat',
               'chair', 'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant',
               'sheep', 'sofa', 'train', 'tvmonitor')


@TASKS.register_module()
class Semseg(CategoricalTask):
    """Semantic segmentation by cross-entropy, scored by mIoU (percent).

    Args:
        class_names: PASCAL VOC's 21 by default.
        palette: one RGB colour a class; None for the VOC palette.
        loss_weight: see :class:`Task`; PASCAL's published weight is 1.
        absent_iou: see :class:`CategoricalTask`.
    """

    def __init__(self, class_names: Sequence[str] = VOC_CLASSES,
                 palette: Sequence[Sequence[int]] | None = None, loss_weight: float = 1.0,
                 absent_iou: float | None = None) -> None:
        super().__init__(class_names, bit_palette(len(class_names)) if palette is None else palette,
                         loss_weight, absent_iou)
