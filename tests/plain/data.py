"""A training sample of PASCAL-Context as the published loader makes it: everything, in float32.

All five labels are read, decoded, augmented and made tensors; those that the image is not labelled
for are dropped in the end.
"""

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import torch
from mmseg.datasets.transforms import PhotoMetricDistortion
from PIL import Image
from scipy.io import loadmat
from skimage.morphology import thin
from torch import Tensor

from mtpsl.datasets.pascal_context import NORMAL_CLASSES, PARTS, PERSON

SIZE = 512
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])  # RGB
FILL = dict(image=0, semseg=255, parsing=255, saliency=255, normal=0, boundary=255)


def training_sample(root: str, image_id: str, labelled: Collection[str]) -> dict[str, Tensor]:
    """Image and labels of 512x512, (C, 512, 512) float32; randomness is NumPy's global one.

    Args:
        root: folder of the dataset.
        image_id: of the image.
        labelled: the tasks that it is labelled for.
    """
    picture = Image.open(Path(root, 'JPEGImages', f'{image_id}.jpg')).convert('RGB')
    sample = dict(image=np.array(picture).astype(np.float32)) | read_labels(root, image_id)
    scale = np.random.uniform(0.5, 2)
    for name, values in sample.items():
        how = cv2.INTER_LINEAR if name == 'image' else cv2.INTER_NEAREST
        sample[name] = cv2.resize(values, None, fx=scale, fy=scale, interpolation=how)
    sample = crop(sample)
    if np.random.rand() < 0.5:
        sample = {name: np.fliplr(values).copy() for name, values in sample.items()}
        sample['normal'][..., 0] *= -1
    colours = PhotoMetricDistortion().transform(dict(img=sample['image'].astype(np.uint8)))['img']
    sample['image'] = (colours.astype(np.float32) / 255 - MEAN) / STD
    sample = {name: pad(values, FILL[name]) for name, values in sample.items()}
    if not (sample['parsing'] % 255).any():
        sample['parsing'][:] = 255
    tensors = {name: torch.from_numpy(np.atleast_3d(values).transpose(2, 0, 1).astype(np.float32))
               for name, values in sample.items()}
    return {name: tensors[name] for name in ('image', *labelled)}


def read_labels(root: str, image_id: str) -> dict[str, np.ndarray]:
    """All labels as they are before augmentation, (H, W) or (H, W, 3) float32."""
    root = Path(root)
    semseg = root / 'semseg' / 'VOC12' / f'{image_id}.png'
    if not semseg.exists():
        semseg = root / 'semseg' / 'pascal-context' / f'{image_id}.png'
    semseg = np.array(Image.open(semseg)).astype(np.float32)
    saliency = np.array(Image.open(root / 'sal_distill' / f'{image_id}.png')).astype(np.float32)
    return dict(semseg=semseg, parsing=parsing(root, image_id, semseg.shape),
                saliency=(saliency / 255 > 0.5).astype(np.float32),
                normal=normals(root, image_id), boundary=boundaries(root, image_id))


def parsing(root: Path, image_id: str, size: tuple[int, int]) -> np.ndarray:
    label = np.zeros(size, np.float32)
    objects = loadmat(root / 'human_parts' / f'{image_id}.mat')['anno'][0][0][1][0]
    for item in objects:
        if item[1][0][0] == PERSON and len(item[3]):
            for part in item[3][0]:
                label[part[1].astype(bool)] = PARTS[str(part[0][0])]
    return label


def normals(root: Path, image_id: str) -> np.ndarray:
    picture = np.array(Image.open(root / 'normals_distill' / f'{image_id}.png'))
    vectors = 2.0 * picture.astype(np.float32) / 255.0 - 1.0
    classes = loadmat(root / 'pascal-context' / 'trainval' / f'{image_id}.mat')['LabelMap']
    label = np.zeros_like(vectors)
    for number in np.unique(classes):
        if number in NORMAL_CLASSES:
            label[classes == number] = vectors[classes == number]
    return label


def boundaries(root: Path, image_id: str) -> np.ndarray:
    classes = loadmat(root / 'pascal-context' / 'trainval' / f'{image_id}.mat')['LabelMap']
    return thin(np.abs(cv2.Laplacian(classes, cv2.CV_64F)) > 0).astype(np.float32)


def crop(sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A random place, of ten tries the first where no class has over 75 % of the known pixels."""
    height, width = sample['image'].shape[:2]
    for _ in range(10):
        top = np.random.randint(max(height - SIZE, 0) + 1)
        left = np.random.randint(max(width - SIZE, 0) + 1)
        rows, columns = slice(top, top + SIZE), slice(left, left + SIZE)
        classes, counts = np.unique(sample['semseg'][rows, columns], return_counts=True)
        counts = counts[classes != 255]
        if len(counts) > 1 and counts.max() / counts.sum() < 0.75:
            break
    return {name: values[rows, columns] for name, values in sample.items()}


def pad(values: np.ndarray, fill: float) -> np.ndarray:
    """To 512x512, the content in the middle."""
    height, width = (SIZE - side for side in values.shape[:2])
    return cv2.copyMakeBorder(values, height // 2, height - height // 2, width // 2,
                              width - width // 2, cv2.BORDER_CONSTANT, value=[fill] * 3)
