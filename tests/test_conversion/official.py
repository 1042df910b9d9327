"""Small datasets in the formats that the authors of NYU Depth v2 and Cityscapes publish."""

import os
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

NAMES = ('wall', 'floor', 'coffee table', 'television', 'toaster', 'cone, of "ice"')
COUNT, HEIGHT, WIDTH = 7, 60, 80
TRAIN, TEST = (3, 7, 1, 4), (6, 2)
# A plane for each image, in axes x right, y up, z to the viewer; it faces the camera.
PLANES = np.array([(0.1 * k - 0.3, 0.3 - 0.05 * k, 1.0) for k in range(COUNT)])
PLANES /= np.linalg.norm(PLANES, axis=1, keepdims=True)


def plane_depth(normal: np.ndarray, distance: float, shape: tuple[int, int], fx: float, fy: float,
                cx: float, cy: float) -> np.ndarray:
    """Depth of the plane through the point ``distance`` ahead of the camera."""
    v, u = np.indices(shape)
    ray = np.stack(((u - cx) / fx, -(v - cy) / fy, -np.ones(shape)), -1)
    return -distance * normal[2] / (ray @ normal)


def nyud_arrays() -> dict[str, np.ndarray]:
    """Images (N, H, W, 3), labels, depths and rawDepths (N, H, W); image 2 has a hole."""
    rng = np.random.default_rng(0)
    # An eighth of 480x640: the published camera, counted from 1, at an eighth of its size.
    camera = (518.85790117450188 / 8, 519.46961112127485 / 8,
              (325.58244941119034 - 0.5) / 8 - 0.5, (253.73616633400465 - 0.5) / 8 - 0.5)
    depths = np.stack([plane_depth(normal, 2 + k, (HEIGHT, WIDTH), *camera)
                       for k, normal in enumerate(PLANES)]).astype(np.float32)
    raw = depths.copy()
    raw[2, 20:30, 40:44] = 0
    return {'images': rng.integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), np.uint8),
            'labels': rng.integers(0, len(NAMES) + 1, (COUNT, HEIGHT, WIDTH), np.uint16),
            'depths': depths, 'rawDepths': raw}


def write_labelled(path: Path, arrays: dict[str, np.ndarray], names: tuple[str, ...] = NAMES,
                   compression: str | None = None, fletcher32: bool = False) -> None:
    """``nyu_depth_v2_labeled.mat``: axes in reverse order, names behind references."""
    with h5py.File(path, 'w', userblock_size=512) as file:
        for name, values in arrays.items():
            reverse = (0, *range(values.ndim - 1, 0, -1))
            file.create_dataset(name, data=values.transpose(reverse), compression=compression,
                                fletcher32=fletcher32)
        cells = file.create_dataset('names', (1, len(names)), h5py.ref_dtype)
        for index, name in enumerate(names):
            codes = np.array([[ord(letter)] for letter in name], np.uint16)
            cells[0, index] = file.create_dataset(f'#refs#/{index}', data=codes).ref
    with open(path, 'r+b') as file:
        file.write(b'MATLAB 7.3 MAT-file')


def write_splits(path: Path, train: tuple[float, ...] = TRAIN,
                 test: tuple[float, ...] = TEST) -> None:
    """``splits.mat``, of MATLAB v5."""
    savemat(path, {'trainNdxs': np.array(train, float)[:, None],
                   'testNdxs': np.array(test, float)[:, None]})


def write_nyud(folder: Path) -> tuple[str, str]:
    """Both files of NYU Depth v2; their paths."""
    folder.mkdir(exist_ok=True)
    write_labelled(folder / 'labeled.mat', nyud_arrays())
    write_splits(folder / 'splits.mat')
    return str(folder / 'labeled.mat'), str(folder / 'splits.mat')


CITY_NAMES = {'train': ('aachen/aachen_000001_000019', 'aachen/aachen_000002_000019',
                        'zurich/zurich_000000_000019'),
              'val': ('munster/munster_000000_000019',)}


def city_paths(source: Path, split: str, name: str) -> dict[str, Path]:
    """The three files of an image."""
    return {'image': source / f'leftImg8bit/{split}/{name}_leftImg8bit.png',
            'gtFine': source / f'gtFine/{split}/{name}_gtFine_labelIds.png',
            'disparity': source / f'disparity/{split}/{name}_disparity.png'}


def city_arrays(seed: int) -> dict[str, np.ndarray]:
    """One image of 32x64 with every official id in it, and disparities 0, 1 and 32257."""
    rng = np.random.default_rng(seed)
    disparity = rng.integers(0, 32258, (32, 64), np.uint16)
    disparity[1, 1:8:2] = 0, 1, 2, 32257
    return {'image': rng.integers(0, 256, (32, 64, 3), np.uint8),
            'gtFine': rng.permutation(np.arange(32 * 64) % 34).astype(np.uint8).reshape(32, 64),
            'disparity': disparity}


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_cityscapes(source: Path) -> Path:
    """The three folders of Cityscapes, and files beside them that are not wanted."""
    seed = 0
    for split, names in CITY_NAMES.items():
        for name in names:
            for kind, path in city_paths(source, split, name).items():
                write_png(path, city_arrays(seed)[kind])
            seed += 1
    (source / 'leftImg8bit/train/aachen/._aachen_000001_000019_leftImg8bit.png').write_bytes(b'?')
    return source


def files_of(root: Path) -> dict[str, bytes]:
    """All files below a folder: name -> content."""
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


def die(_item: object) -> None:
    """What a worker does that the system kills."""
    os._exit(9)
