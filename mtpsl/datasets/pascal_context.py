"""PASCAL-Context with labels for five dense tasks."""

from typing import Any

import cv2
import numpy as np

from mtpsl.data_prep.layouts import NORMAL_CLASSES, PART_PIECES
from mtpsl.registry import DATASETS
from mtpsl.tasks.boundary_match import thin

from .partial_label import LabelSource, PartialLabelDataset

PERSON = 15
CONTEXT_CLASSES = 459

# Body part of each annotated piece of a person.
PARTS = {name: part for part, names in PART_PIECES.items() for name in names}

HAS_NORMAL = np.isin(np.arange(CONTEXT_CLASSES + 1), NORMAL_CLASSES)


def decode_semseg(size: tuple[int, int], png: np.ndarray) -> np.ndarray:
    """Return the stored VOC classes 0..20, 255 where unknown."""
    return _grey(png)


def decode_saliency(size: tuple[int, int], png: np.ndarray) -> np.ndarray:
    """Return 1 where the stored saliency v in 0..255 has v / 255 > 0.5, else 0."""
    return (_grey(png) > 127).astype(np.uint8)


def decode_parsing(size: tuple[int, int], mat: dict) -> np.ndarray:
    """Return the body parts 1..6 of all persons, 0 elsewhere; later pieces overwrite earlier ones.

    Persons are found by the object's class, so ``ImageSets/Parts`` (a list of the classes in each
    of these files) is not needed.
    """
    anno = _records(_variable(mat, 'anno'), 'anno', 2)
    if not anno:
        raise ValueError('anno must be a struct of image name and objects, got an empty one')
    # Fields of an object: class name, class index, mask, pieces; of a piece: name, mask.
    pieces = [piece for item in _records(anno[0][1], 'objects', 4) if _class_index(item) == PERSON
              for piece in _records(item[3], 'parts', 2)]
    if not pieces:
        return np.zeros(size, np.uint8)
    shapes = {np.shape(mask) for _, mask in pieces}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise ValueError('the masks of the body parts must be (H, W) of one size, got '
                         f'{", ".join(map(str, sorted(shapes)))}')
    label = np.zeros(shapes.pop(), np.uint8)
    for name, mask in pieces:
        part = str(np.squeeze(name))
        if part not in PARTS:
            raise ValueError(f'unknown body part {part!r}; known: {", ".join(PARTS)}')
        label[mask > 0] = PARTS[part]
    return label


def decode_boundary(size: tuple[int, int], mat: dict) -> np.ndarray:
    """Return 1 on thin(|Laplacian(LabelMap)| > 0), 0 elsewhere, with the 4-neighbour Laplacian."""
    laplacian = cv2.Laplacian(_context_classes(mat), cv2.CV_64F)
    return thin(laplacian != 0).astype(np.uint8)


def decode_normal(size: tuple[int, int], png: np.ndarray, mat: dict) -> np.ndarray:
    """Return n = 2 v / 255 - 1 of RGB values v on ``NORMAL_CLASSES``, the zero vector elsewhere."""
    if png.ndim != 3 or png.shape[2] != 3 or png.dtype != np.uint8:
        raise ValueError(f'expected an 8-bit RGB picture, got {png.dtype} of shape {png.shape}')
    classes = _context_classes(mat)
    if classes.shape != png.shape[:2]:
        raise ValueError(f'wrong size: LabelMap is {classes.shape}, the normals {png.shape[:2]}')
    normals = 2 * png.astype(np.float32) / 255 - 1
    return normals * HAS_NORMAL[classes][..., None]


@DATASETS.register_module()
class PASCALContext(PartialLabelDataset):
    """PASCAL-Context multi-task: 4998 training and 5105 validation images.

    Layout below ``data_root``::

        JPEGImages/ID.jpg
        ImageSets/Context/{train,val}.txt
        semseg/VOC12/ID.png, else semseg/pascal-context/ID.png
        human_parts/ID.mat                    person pieces (parsing)
        sal_distill/ID.png                    saliency
        normals_distill/ID.png                surface normals
        pascal-context/trainval/ID.mat        459 Context classes (boundary, normal)
        label_mappings/*.json                 partial-label settings

    Arguments: see :class:`PartialLabelDataset`.
    """

    IMAGE = 'JPEGImages/{id}.jpg'
    ID_LIST = 'ImageSets/Context/{split}.txt'
    LABELS = dict(
        semseg=LabelSource((('semseg/VOC12/{id}.png', 'semseg/pascal-context/{id}.png'),),
                           decode_semseg, "PASCAL VOC's 21 classes"),
        parsing=LabelSource(('human_parts/{id}.mat',), decode_parsing),
        saliency=LabelSource(('sal_distill/{id}.png',), decode_saliency),
        normal=LabelSource(('normals_distill/{id}.png', 'pascal-context/trainval/{id}.mat'),
                           decode_normal),
        boundary=LabelSource(('pascal-context/trainval/{id}.mat',), decode_boundary),
    )
    PUBLISHED = dict(counts=dict(train=4998, val=5105))


def _grey(png: np.ndarray) -> np.ndarray:
    if png.ndim != 2 or png.dtype != np.uint8:
        raise ValueError('expected an 8-bit picture of one channel, got '
                         f'{png.dtype} of shape {png.shape}')
    return png


def _variable(mat: dict, name: str) -> np.ndarray:
    if name not in mat:
        held = ', '.join(key for key in mat if not key.startswith('__'))
        raise ValueError(f'expected the variable {name!r}, the file has {held or "none"}')
    return mat[name]


def _records(value: np.ndarray, name: str, fields: int) -> list[Any]:
    """Return the records of a MATLAB struct array; an empty array has lost its fields."""
    if value.size and len(value.dtype.names or ()) < fields:
        raise ValueError(f'{name} must be a struct of {fields} fields, got {value.dtype} of shape '
                         f'{value.shape}')
    return list(value.ravel())


def _class_index(item: np.void) -> int:
    index = np.asarray(item[1])
    if index.size != 1 or index.dtype.kind not in 'iuf' or index.item() % 1:
        raise ValueError(f'class_ind of an object must be an integer, got {index.tolist()}')
    return int(index.item())


def _context_classes(mat: dict) -> np.ndarray:
    """Return the Context classes, (H, W) uint16."""
    classes = _variable(mat, 'LabelMap')
    if classes.ndim != 2 or not classes.size or classes.dtype.kind not in 'iu':
        raise ValueError(f'LabelMap must be an (H, W) map of integers, got {classes.dtype} of '
                         f'shape {classes.shape}')
    if classes.min() < 0 or classes.max() > CONTEXT_CLASSES:
        raise ValueError(f'expected a map of classes 0..{CONTEXT_CLASSES}, got values '
                         f'{classes.min()} to {classes.max()} of shape {classes.shape}')
    return classes.astype(np.uint16)
