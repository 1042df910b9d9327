"""A folder of one's own as ``FolderDataset`` reads it, each label in each kind of file."""

import cv2
import numpy as np
from PIL import Image

from mtpsl.datasets import FolderDataset

from .conftest import READ

SIZE = (20, 30)
TASKS = dict(classes=dict(type='Semseg', class_names=('wall', 'door', 'floor')),
             mask=dict(type='Saliency'), normal=dict(type='Normal'),
             depth=dict(type='Depth', png_unit=0.001))
ROWS, COLUMNS = np.indices(SIZE)
IDS = ('1', '2', '10', 'x.y')
# Which file each label is kept in; image x.y has none.
FILES = ('classes/1.png', 'classes/10.npy', 'mask/1.png', 'mask/2.npy', 'normals/10.png',
         'normals/2.npy', 'depth/1.png', 'depth/10.npy')


def palette_picture(values):
    picture = Image.fromarray(values.astype(np.uint8))
    picture.putpalette([9, 9, 9] * 256)
    return picture


def write_labels(root):
    """A file of each kind of each task."""
    for name in ('classes', 'mask', 'normals', 'depth'):
        (root / name).mkdir()
    palette_picture(ROWS % 3).save(root / FILES[0])
    np.save(root / FILES[1], np.where(COLUMNS == 0, -1, COLUMNS % 3).astype(np.float32)[..., None])
    Image.fromarray(np.where(COLUMNS < 9, 255, 0).astype(np.uint8)).save(root / FILES[2])
    np.save(root / FILES[3], np.where(ROWS == 0, 255, COLUMNS < 4).astype(np.uint8))
    normal = np.full((*SIZE, 3), (51, 128, 230), np.uint8)  # (-0.6, 0, 0.8)
    normal[0] = 0
    Image.fromarray(normal).save(root / FILES[4])
    np.save(root / FILES[5], np.tile(np.float32([0, 0.6, 0.8]), (*SIZE, 1)))
    Image.fromarray((1500 * (ROWS > 0)).astype(np.uint16)).save(root / FILES[6])
    np.save(root / FILES[7], (COLUMNS / 10).astype(np.float64)[..., None])


def write_own_data(tmp_path):
    """Four images; 1 has three labels, 2 has two, 10 has three and x.y has none."""
    images = tmp_path / 'data/train/images'
    images.mkdir(parents=True)
    pixels = np.stack([ROWS * 9, COLUMNS * 5, np.full(SIZE, 90)], 2).astype(np.uint8)  # BGR
    for name in ('1.JPG', '2.png', 'x.y.TIFF'):
        cv2.imwrite(str(images / name), pixels)
    np.save(images / '10.npy', pixels[..., ::-1])
    for name in ('._1.jpg', 'Thumbs.db', 'README'):
        (images / name).write_bytes(b'no image')
    write_labels(images.parent)
    return tmp_path / 'data'


def folder_dataset(root, tasks=TASKS, split='train', **arguments):
    arguments = dict(folders=dict(normal='normals'), pipeline=READ) | arguments
    return FolderDataset(tasks=tasks, data_root=str(root), split=split, **arguments)


def labelled(dataset):
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {info['img_id']: list(info['labels']) for info in infos}
