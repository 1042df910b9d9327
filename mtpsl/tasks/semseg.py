"""Semantic segmentation."""

from collections.abc import Sequence

from mtpsl.registry import TASKS

from .categorical import CategoricalTask, bit_palette
from .class_list import check_names
from .stored import Stored

VOC_CLASSES = ('background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat',
               'chair', 'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant',
               'sheep', 'sofa', 'train', 'tvmonitor')


@TASKS.register_module()
class Semseg(CategoricalTask):
    """Semantic segmentation: cross-entropy; primary metric mIoU (percent).

    Args:
        class_names: the 21 classes of PASCAL VOC by default.
        palette: one RGB colour per class; None for the VOC palette.
        loss_weight: see :class:`Task`; PASCAL's published weight is 1.
        absent_iou: see :class:`CategoricalTask`.
        class_weight: see :class:`CategoricalTask`.
        values: see :class:`CategoricalTask`.
        ignore: see :class:`CategoricalTask`.
        colour_coded: see :class:`CategoricalTask`.
        mirrored: see :class:`CategoricalTask`.
    """

    def __init__(self, class_names: Sequence[str] = VOC_CLASSES,
                 palette: Sequence[Sequence[int]] | None = None, loss_weight: float = 1.0,
                 absent_iou: float | None = None, class_weight: Sequence[float] | None = None,
                 values: Sequence[Stored] | None = None,
                 ignore: Sequence[int] | Sequence[Sequence[int]] | None = None,
                 colour_coded: bool = False,
                 mirrored: Sequence[Sequence[str]] | None = None) -> None:
        classes = len(check_names(type(self).__name__, class_names))
        super().__init__(class_names, bit_palette(classes) if palette is None else palette,
                         loss_weight, absent_iou, class_weight, values, ignore, colour_coded,
                         mirrored)
        if len(self.class_names) < 2:
            raise ValueError('Semseg: class_names must be at least 2 names, since with one class '
                             f'nothing can be learned, got {list(class_names)}; the rest that is '
                             f'not {class_names[0]!r} is a class too')
