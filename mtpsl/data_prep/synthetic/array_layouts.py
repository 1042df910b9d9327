"""Writes rendered scenes as the arrays of the NYUD and Cityscapes layouts.

Paths are those of ``mtpsl.data_prep.layouts``, ids count from 0 in each split; all arrays are
float32. Depth and normals are the rendered ones, exactly; the sky has neither, so both are 0.
"""
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mtpsl.data_prep import layouts
from mtpsl.system.files import write_array

from .layout import scene_place
from .pascal_layout import CLASS_NAMES
from .render import RenderedScene

UNKNOWN = 'unknown'
SKY, GROUND, WALL, OBJECT = range(4)  # kinds; OBJECT + c is an object of VOC class c


def scene_kinds(scene: RenderedScene) -> np.ndarray:
    """Return each pixel's kind, (H, W) int: SKY, GROUND, WALL or OBJECT + VOC class."""
    is_object = scene.instance > GROUND + scene.walls
    return np.where(is_object, OBJECT + scene.semseg.astype(np.int32),
                    np.minimum(scene.instance, WALL))


def _class_table(names: Sequence[str], sky: str, ground: str, wall: str, other: str,
                 objects: Mapping[str, str]) -> np.ndarray:
    """Return class ids by kind, (24,) float32, -1 unknown; ``objects``: VOC names -> ``names``."""
    ids = {UNKNOWN: -1} | {name: number for number, name in enumerate(names)}
    table = np.full(OBJECT + 21, ids[other], dtype=np.float32)
    table[[SKY, GROUND, WALL]] = [ids[sky], ids[ground], ids[wall]]
    for category, name in CLASS_NAMES.items():
        table[OBJECT + category] = ids[objects.get(name, other)]
    return table


NYUD_IDS = _class_table(
    layouts.NYUD_CLASSES, UNKNOWN, 'floor', 'wall', 'objects',
    {'sofa': 'sofa', 'chair': 'chair', 'diningtable': 'table', 'tvmonitor': 'tv'})
CITYSCAPES_IDS = _class_table(
    layouts.CITYSCAPES_CLASSES, 'sky', 'flat', 'construction', 'object',
    {'pottedplant': 'nature', 'person': 'human', 'car': 'vehicle'})


def _image(scene: RenderedScene) -> np.ndarray:
    return scene.image.astype(np.float32) / 255


def _depth(scene: RenderedScene) -> np.ndarray:
    return scene.depth[..., None]


def _inverse_depth(scene: RenderedScene) -> np.ndarray:
    depth = _depth(scene)
    return np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0)


class ArrayLayout:
    """A layout of numbered ``.npy`` files without lists, see :class:`.layout.Layout`.

    Args:
        paths: content -> path of the file, with ``{split}`` and ``{id}``.
        arrays: content -> function from a scene to the array.
    """

    def __init__(self, paths: Mapping[str, str],
                 arrays: Mapping[str, Callable[[RenderedScene], np.ndarray]]) -> None:
        self.paths, self.arrays = paths, arrays

    def scene_files(self, root: Path, identifier: str) -> dict[str, Path]:
        """Return the paths of a scene's files by content."""
        split, number = scene_place(identifier)
        return {name: root / path.format(split=split, id=number)
                for name, path in self.paths.items()}

    def write(self, files: Mapping[str, Path], identifier: str, scene: RenderedScene) -> None:
        """Write the given files of a scene, by content."""
        for name, path in files.items():
            write_array(path, self.arrays[name](scene))

    def list_files(self, root: Path) -> list[Path]:
        """Return no files: the images are counted."""
        return []

    def write_lists(self, root: Path, splits: Mapping[str, Sequence[str]]) -> None:
        """Do nothing."""


NYUD_LAYOUT = ArrayLayout(
    {**layouts.NYUD, 'image': layouts.IMAGE},
    {'semseg': lambda scene: NYUD_IDS[scene_kinds(scene)], 'depth': _depth,
     'normal': lambda scene: scene.normal, 'image': _image})
CITYSCAPES_LAYOUT = ArrayLayout(
    {**layouts.CITYSCAPES, 'image': layouts.IMAGE},
    {'semseg': lambda scene: CITYSCAPES_IDS[scene_kinds(scene)], 'depth': _inverse_depth,
     'image': _image})
