"""A PASCAL-Context folder written by hand, with label maps whose decoded values are known."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mtpsl.datasets import PASCALContext

TASKS = dict(semseg=dict(type='Semseg'), parsing=dict(type='Parsing'),
             saliency=dict(type='Saliency'), normal=dict(type='Normal'),
             boundary=dict(type='Boundary'))
PERSON, DOG, EMPTY = IDS = ('2008_000001', '2008_000002', '2008_000003')
SIZE = (40, 60)
FOLDERS = dict(semseg='semseg/VOC12/{}.png', parsing='human_parts/{}.mat',
               saliency='sal_distill/{}.png', normal='normals_distill/{}.png',
               boundary='pascal-context/trainval/{}.mat')

READ = [dict(type='mtpsl.LoadImageFromFile'), dict(type='mtpsl.LoadLabels')]
TEST = [*READ, dict(type='mtpsl.PackMultiTaskInputs')]


def box(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def struct_array(fields: str, rows: list[tuple]) -> np.ndarray:
    """A MATLAB struct array of one row, empty without rows."""
    if not rows:
        return np.zeros((0, 0))
    array = np.empty((1, len(rows)), [(field, object) for field in fields.split()])
    for k, row in enumerate(rows):
        array[0, k] = row
    return array


def write_parts(path: Path, objects: list[tuple[int, list[tuple[str, np.ndarray]]]]) -> None:
    """``objects``: (class index, [(piece name, mask), ...]) of each."""
    rows = [('thing', number, np.zeros(SIZE, np.uint8), struct_array('part_name mask', pieces))
            for number, pieces in objects]
    anno = struct_array('imname objects', [(
        path.stem, struct_array('class class_ind mask parts', rows))])
    savemat(path, dict(anno=anno))


def context_map(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Class 3 (normals used) on the left 20 columns, class 5 (not used) on the others."""
    classes = np.full(size, 5, np.uint16)
    classes[:, :20] = 3
    return classes


def person_parts() -> list[tuple[int, list[tuple[str, np.ndarray]]]]:
    """A dog with a piece, a person without pieces, one with an arm over the torso, a later head."""
    return [(12, [('head', box(0, 0, 40, 60))]), (15, []),
            (15, [('torso', box(10, 10, 30, 30)), ('rlarm', box(15, 15, 20, 40)),
                  ('lfoot', box(36, 0, 40, 4))]),
            (15, [('hair', box(10, 10, 12, 12))])]


def write_image(root: Path, image_id: str) -> None:
    rows, columns = np.indices(SIZE, np.uint8)
    image = np.stack([rows * 6, columns * 4, np.full(SIZE, 100, np.uint8)], 2)
    cv2.imwrite(str(root / f'JPEGImages/{image_id}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    semseg = Image.fromarray((columns // 3).astype(np.uint8))  # classes 0..19
    semseg.putpalette([7, 7, 7] * 256)
    semseg.save(root / FOLDERS['semseg'].format(image_id))
    saliency = np.where(columns < 30, 127, 128).astype(np.uint8)
    Image.fromarray(saliency).save(root / FOLDERS['saliency'].format(image_id))
    normal = np.full((*SIZE, 3), (255, 102, 0), np.uint8)  # (1, -0.2, -1)
    Image.fromarray(normal).save(root / FOLDERS['normal'].format(image_id))
    savemat(root / FOLDERS['boundary'].format(image_id), dict(LabelMap=context_map()))


@pytest.fixture
def pascal(tmp_path: Path) -> Path:
    """Three images: a person, a dog and one without any object; all of them in both splits."""
    root = tmp_path / 'PASCALContext'
    for folder in ('JPEGImages', 'ImageSets/Context', 'semseg/pascal-context', 'label_mappings',
                   *(os.path.dirname(path) for path in FOLDERS.values())):
        (root / folder).mkdir(parents=True)
    for split in ('train', 'val'):
        (root / f'ImageSets/Context/{split}.txt').write_text('\n'.join(IDS) + '\n')
    for image_id in IDS:
        write_image(root, image_id)
    for image_id, objects in zip(IDS, (person_parts(), person_parts()[:1], [])):
        write_parts(root / FOLDERS['parsing'].format(image_id), objects)
    return root


@pytest.fixture
def label_path(pascal: Path) -> Callable[[str, str], Path]:
    """``label_path(task, image id)``: the file that only this label needs."""
    return lambda task, image_id: pascal / FOLDERS[task].format(image_id)


def reader(root: Path, pipeline: list = READ, split: str = 'train', tasks: dict = TASKS,
           **arguments: object) -> PASCALContext:
    return PASCALContext(tasks=tasks, data_root=str(root), split=split, pipeline=pipeline,
                         **arguments)


def write_mapping(root: Path, mapping: dict) -> str:
    name = 'label_mappings/partial.json'
    (root / name).write_text(json.dumps(mapping))
    return name


@pytest.fixture
def published() -> Path:
    """The folder of published label settings, where the environment names it."""
    folder = os.environ.get('MTPSL_PUBLISHED_SPLITS')
    if not folder:
        pytest.skip('MTPSL_PUBLISHED_SPLITS does not name the folder of published splits')
    return Path(folder)
