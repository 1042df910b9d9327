"""Writes rendered scenes in the PASCAL-Context multi-task layout.

Files below the root (``PASCALContext``):

- ``JPEGImages/ID.jpg``, quality 95;
- ``semseg/VOC12/ID.png``, ids 0..20; every fifth scene has it in ``semseg/pascal-context/ID.png``
  instead, as the real data have for images outside VOC 2012;
- ``pascal-context/trainval/ID.mat``, ``LabelMap`` uint16: one Context id per instance, ground
  and wall. All ids are in ``NORMAL_IDS``, the classes for which readers keep normals. They never
  cancel in a Laplacian, so |Laplacian(LabelMap)| > 0 marks exactly the pixels whose 4-neighbours
  differ. The sky has no surface: ``SKY_ID`` is not in the list, so its normals are ignored;
- ``human_parts/ID.mat``, ``anno``: visible objects of all classes, parts of people only. Of a
  limb in two pieces one gets the left name, the other the right one, arbitrarily;
- ``normals_distill/ID.png``, RGB v = round((n + 1) / 2 * 255), camera axes x right, y up, z
  towards the viewer;
- ``sal_distill/ID.png``, 255 on salient objects, else 0;
- ``ImageSets/Context/{train,val}.txt``, ids; ``ImageSets/Parts/{train,val}.txt``, JSON from id to
  the classes of its objects.

The layout has no place for depth.
"""
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat, savemat

from mtpsl.data_prep.layouts import NORMAL_CLASSES as NORMAL_IDS
from mtpsl.data_prep.layouts import PART_PIECES, SPLITS
from mtpsl.system.files import atomically, write_image, write_json

from .layout import id_number
from .render import RenderedScene

# Some classes of the segmentation task, equal by a test: importing them would load torch in every
# worker, which takes longer than rendering dozens of scenes.
SKY_ID = 360
CLASS_NAMES = {5: 'bottle', 7: 'car', 9: 'chair', 11: 'diningtable', 12: 'dog', 15: 'person',
               16: 'pottedplant', 18: 'sofa', 20: 'tvmonitor'}
LIMBS = (3, 4, 5, 6)  # body parts with a left and a right side
FALLBACK_EVERY = 5


def context_labels(instance: np.ndarray) -> np.ndarray:
    """Map instances (H, W) int32, 0 sky, to Context ids (H, W) uint16 from ``NORMAL_IDS``.

    Raises:
        ValueError: If there are more instances than ids, or no draw of them shows every boundary
            (which takes thousands of one-pixel instances).
    """
    present, index = np.unique(instance, return_inverse=True)
    if present.size > len(NORMAL_IDS):
        raise ValueError(f'{present.size} instances, but only {len(NORMAL_IDS)} Context ids')
    index = index.reshape(instance.shape).astype(np.int32)
    border = cv2.copyMakeBorder(index, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    differs = np.any([border[1:-1, :-2] != index, border[1:-1, 2:] != index,
                      border[:-2, 1:-1] != index, border[2:, 1:-1] != index], axis=0)
    rng = np.random.Generator(np.random.PCG64(0))
    for _ in range(1000):
        ids = np.where(present == 0, SKY_ID, rng.permutation(NORMAL_IDS)[:present.size])
        labels = ids[index].astype(np.uint16)
        # Draw again if the neighbours' ids average to the centre's by chance.
        if np.array_equal(cv2.Laplacian(labels, cv2.CV_64F) != 0, differs):
            return labels
    raise ValueError('found no Context ids whose Laplacian shows every boundary')


def _part_masks(parsing: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, mask) of the body parts in a person's labels (H, W); split paired limbs."""
    for part, (left, right, *_) in PART_PIECES.items():
        mask = parsing == part
        if not mask.any():
            continue
        if part not in LIMBS:
            yield left, mask
            continue
        count, pieces = cv2.connectedComponents(mask.astype(np.uint8))
        yield left, pieces == 1
        if count > 2:
            yield right, pieces > 1


def _struct(rows: list[tuple], names: tuple[str, ...]) -> np.ndarray:
    """Make a 1 x len(rows) MATLAB struct array."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in names])
    for number, row in enumerate(rows):
        array[0, number] = row
    return array


def human_parts(identifier: str, scene: RenderedScene) -> np.ndarray:
    """Make the struct ``anno``: imname, objects (class, class_ind, mask, parts (name, mask))."""
    objects = []
    for number in np.unique(scene.instance[scene.semseg > 0]):
        mask = scene.instance == number
        category = int(scene.semseg[mask][0])
        parts = [(name, part.astype(np.uint8))
                 for name, part in _part_masks(np.where(mask, scene.parsing, 0))]
        objects.append((CLASS_NAMES[category], np.array([[category]], dtype=np.uint8),
                        mask.astype(np.uint8),
                        _struct(parts, ('part_name', 'mask')) if parts else np.zeros((0, 0))))
    rows = _struct(objects, ('class', 'class_ind', 'mask', 'parts'))
    return _struct([(identifier, rows)], ('imname', 'objects'))


def _write_mat(path: Path, name: str, content: np.ndarray) -> None:
    def write(temporary: str) -> None:
        savemat(temporary, {name: content}, do_compression=True)
        # Overwrite the time of writing (116 bytes): the same scene must give the same bytes.
        with open(temporary, 'r+b') as file:
            file.write(b'MATLAB 5.0 MAT-file, rendered scene'.ljust(116))
    atomically(path, write)


class PascalLayout:
    """The PASCAL-Context multi-task layout, see :class:`.layout.Layout`."""

    def scene_files(self, root: Path, identifier: str) -> dict[str, Path]:
        """Return the paths of a scene's six files by content."""
        fallback = id_number(identifier) % FALLBACK_EVERY == 0
        semseg = 'pascal-context' if fallback else 'VOC12'
        return {'image': root / 'JPEGImages' / f'{identifier}.jpg',
                'semseg': root / 'semseg' / semseg / f'{identifier}.png',
                'context': root / 'pascal-context' / 'trainval' / f'{identifier}.mat',
                'parts': root / 'human_parts' / f'{identifier}.mat',
                'normals': root / 'normals_distill' / f'{identifier}.png',
                'saliency': root / 'sal_distill' / f'{identifier}.png'}

    def write(self, files: Mapping[str, Path], identifier: str, scene: RenderedScene) -> None:
        """Write the given files of a scene, by content."""
        if 'semseg' in files:
            write_image(files['semseg'], scene.semseg)
        if 'saliency' in files:
            write_image(files['saliency'], scene.saliency * np.uint8(255))
        if 'normals' in files:
            normal = np.rint((scene.normal.astype(np.float64) + 1) / 2 * 255).astype(np.uint8)
            write_image(files['normals'], normal[..., ::-1])
        if 'context' in files:
            _write_mat(files['context'], 'LabelMap', context_labels(scene.instance))
        if 'parts' in files:
            _write_mat(files['parts'], 'anno', human_parts(identifier, scene))
        if 'image' in files:
            write_image(files['image'], scene.image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 95))

    def list_files(self, root: Path) -> list[Path]:
        """Return the paths of the lists of ids and classes."""
        return [root / 'ImageSets' / kind / f'{split}.txt'
                for kind in ('Context', 'Parts') for split in SPLITS]

    def write_lists(self, root: Path, splits: Mapping[str, Sequence[str]]) -> None:
        """Write the lists from the scenes' files of each split."""
        for split, identifiers in splits.items():
            categories = {}
            for identifier in identifiers:
                anno = loadmat(str(self.scene_files(root, identifier)['parts']))['anno']
                categories[identifier] = [int(entry[1][0, 0]) for entry in anno[0][0][1][0]]
            write_json(root / 'ImageSets' / 'Parts' / f'{split}.txt', categories)
            path = root / 'ImageSets' / 'Context' / f'{split}.txt'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(''.join(f'{identifier}\n' for identifier in identifiers))
