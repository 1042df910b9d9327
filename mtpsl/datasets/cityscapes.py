"""Cityscapes with labels for two dense tasks."""

import numpy as np

from mtpsl.data_prep import layouts
from mtpsl.registry import DATASETS

from .arrays import class_map, number_map, numbered_ids
from .mended import drop_broken
from .partial_label import LabelFiles, LabelSource, PartialLabelDataset

LARGEST = 10.0  # the archive's maximum is 0.4922; raw disparities reach 126 (pixels) or 32257


def decode_inverse_depth(size: tuple[int, int], values: np.ndarray) -> np.ndarray:
    """Return the stored inverse depth, 0 where unknown."""
    inverse = number_map(size, values)
    if inverse.max(initial=0) > LARGEST:
        raise ValueError(f'inverse depth must be at most {LARGEST:g}, got up to {inverse.max():g}: '
                         'is it depth, or a raw disparity?')
    return inverse


@DATASETS.register_module()
class Cityscapes(PartialLabelDataset):
    """Cityscapes in the layout of the MTAN archive: 2975 training and 500 validation images.

    Images have 128 x 256 pixels; semseg has 7 classes. Layout below ``data_root``, with SPLIT
    ``train`` or ``val`` and I counting from 0; arrays may have any float type::

        SPLIT/image/I.npy                       (H, W, 3) RGB in [0, 1]
        SPLIT/label_7/I.npy, else label/I.npy   (H, W) class ids 0..6, -1 unknown (semseg)
        SPLIT/depth/I.npy                       (H, W, 1) inverse depth, 0 unknown
        label_mappings/*.json                   partial-label settings; ids are '0', '1', ...

    Inverse depth is in the archive's unit, 16-bit disparity / 65535. Values that are not finite
    become unknown, with one warning.

    Arguments: see :class:`PartialLabelDataset`.
    """

    IMAGE = layouts.IMAGE
    LABELS = dict(
        semseg=LabelSource(((layouts.CITYSCAPES['semseg'], '{split}/label/{id}.npy'),), class_map,
                           "Cityscapes' 7 classes"),
        depth=LabelSource((layouts.CITYSCAPES['depth'],), decode_inverse_depth, 'inverse depth'))
    PUBLISHED = dict(counts=dict(train=2975, val=500), size=(128, 256))

    def read_ids(self) -> list[str]:
        """Return one id per image in the folder of the split."""
        return numbered_ids(self.data_root, self.IMAGE, self.split)

    def label_files(self, task: str, paths: tuple[str, ...]) -> LabelFiles:
        """Return the files of a label; its ``decode`` repairs values that are not finite."""
        decode = self.LABELS[task].decode
        if task != 'depth':
            return LabelFiles(paths, decode)
        return LabelFiles(paths, lambda size, values: decode(size, drop_broken(values, paths[0])))
