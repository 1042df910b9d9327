"""NYUD-v2 with labels for three dense tasks."""

import numpy as np

from mtpsl.data_prep import layouts
from mtpsl.registry import DATASETS

from .arrays import class_map, normal_map, number_map, numbered_ids
from .mended import drop_broken, shorten_normals
from .partial_label import LabelFiles, LabelSource, PartialLabelDataset

FARTHEST = 100.0  # metres; the sensor's range ends at 10


def decode_depth(size: tuple[int, int], values: np.ndarray) -> np.ndarray:
    """Return the stored depth in metres, 0 where unknown."""
    depth = number_map(size, values)
    if depth.max(initial=0) > FARTHEST:
        raise ValueError(f'depth must be in metres, at most {FARTHEST:g}, got up to '
                         f'{depth.max():g}: is it in millimetres?')
    return depth


@DATASETS.register_module()
class NYUD(PartialLabelDataset):
    """NYUD-v2 in the layout of the MTAN archive: 795 training and 654 validation images.

    Images have 288 x 384 pixels; semseg has 13 classes. Layout below ``data_root``, with SPLIT
    ``train`` or ``val`` and I counting from 0; arrays may have any float type::

        SPLIT/image/I.npy         (H, W, 3) RGB in [0, 1]
        SPLIT/label/I.npy         (H, W) class ids 0..12, -1 unknown (semseg)
        SPLIT/depth/I.npy         (H, W, 1) metres, 0 unknown
        SPLIT/normal/I.npy        (H, W, 3) unit vectors, the zero vector unknown
        label_mappings/*.json     partial-label settings; image ids are '0', '1', ...

    Depths and normals that are not finite become unknown, and normals that are too long are
    shortened, each with one warning.

    Arguments: see :class:`PartialLabelDataset`.
    """

    IMAGE = layouts.IMAGE
    LABELS = dict(
        semseg=LabelSource((layouts.NYUD['semseg'],), class_map, "NYUD's 13 classes"),
        depth=LabelSource((layouts.NYUD['depth'],), decode_depth, 'metres'),
        normal=LabelSource((layouts.NYUD['normal'],), normal_map))
    PUBLISHED = dict(counts=dict(train=795, val=654), size=(288, 384))

    def read_ids(self) -> list[str]:
        """Return one id per image in the folder of the split."""
        return numbered_ids(self.data_root, self.IMAGE, self.split)

    def label_files(self, task: str, paths: tuple[str, ...]) -> LabelFiles:
        """Return the files of a label; its ``decode`` repairs values that are out of range."""
        decode = self.LABELS[task].decode
        mend = dict(depth=drop_broken, normal=shorten_normals).get(task)
        if mend is None:
            return LabelFiles(paths, decode)
        return LabelFiles(paths, lambda size, values: decode(size, mend(values, paths[0])))
