"""Copies that were mirrored or turned on disk, whose labels may have kept their values."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.data_prep.synthetic import render_scene
from mtpsl.datasets import FolderDataset
from mtpsl.datasets.check_dataset import check_configs
from mtpsl.datasets.look import look_at_labels
from mtpsl.datasets.turned_copies import TURNS, turned_copies

from .conftest import TEST

# What is done to pixels, and to vectors (x right, y up): both by hand.
DONE: dict[str, tuple[Callable, Callable]] = {
    'mirrored': (np.fliplr, lambda x, y: (-x, y)),
    'mirrored top to bottom': (np.flipud, lambda x, y: (x, -y)),
    'turned by 180 degrees': (lambda one: np.rot90(one, 2), lambda x, y: (-x, -y)),
    'transposed': (lambda one: one.swapaxes(0, 1), lambda x, y: (-y, -x)),
    'turned left': (np.rot90, lambda x, y: (-y, x)),
    'turned right': (lambda one: np.rot90(one, 3), lambda x, y: (y, -x)),
    'transposed and turned by 180 degrees': (
        lambda one: np.rot90(one, 2).swapaxes(0, 1), lambda x, y: (y, x))}
PARSING = dict(type='Semseg', class_names=('background', 'left arm', 'right arm'))


def turned(normal: np.ndarray, name: str) -> np.ndarray:
    pixels, vectors = DONE[name]
    x, y, z = np.moveaxis(pixels(normal), 2, 0)
    return np.stack([*vectors(x, y), z], 2)


def write(root: Path, image_id: str, image: np.ndarray, **labels: np.ndarray) -> None:
    for folder in ('images', *labels):
        (root / folder).mkdir(exist_ok=True)
    cv2.imwrite(str(root / f'images/{image_id}.png'), image[..., ::-1])
    for name, label in labels.items():
        np.save(root / f'{name}/{image_id}.npy', np.ascontiguousarray(label))


def copies(root: Path, name: str, wrong: int = 4, template: str = '{}_aug') -> FolderDataset:
    """Four scenes and their copies, of which some are wrong."""
    for number in range(4):
        scene, image_id = render_scene(number, 48, 64), f'{number:04d}'
        write(root, image_id, scene.image, normal=scene.normal)
        moved = DONE[name][0](scene.normal)
        write(root, template.format(image_id), DONE[name][0](scene.image),
              normal=moved if number < wrong else turned(scene.normal, name))
    return FolderDataset(data_root=str(root), pipeline=TEST, tasks=dict(normal=dict(type='Normal')))


@pytest.mark.parametrize('name', DONE)
def test_each_turn_is_told(name: str, tmp_path: Path) -> None:
    assert DONE.keys() == TURNS.keys()
    text, = turned_copies(copies(tmp_path, name))
    assert text.startswith(f'normal of 0000_aug ({name}), 0001_aug ({name}), ')


@pytest.mark.parametrize('wrong, template, told', [
    (0, '{}_aug', 0), (1, '{}_aug', 0), (2, '{}_aug', 1), (4, 'flip-{}', 1), (4, '{}_1', 0)])
def test_right_copies_and_other_images(wrong, template, told, tmp_path: Path) -> None:
    """Frames of a film are numbered, and no copies."""
    assert len(list(turned_copies(copies(tmp_path, 'mirrored', wrong, template)))) == told


@pytest.mark.parametrize('swapped', [False, True])
def test_sides_of_bodies(swapped: bool, tmp_path: Path) -> None:
    for number in range(4):
        scene = render_scene(number, 48, 64)
        label = np.where(scene.saliency == 1, np.arange(64) // 8 % 2 + 1, 0).astype(np.uint8)
        write(tmp_path, f'{number}', scene.image, parsing=label)
        mirror = label[:, ::-1]
        write(tmp_path, f'{number}m', scene.image[:, ::-1],
              parsing=np.uint8([0, 2, 1])[mirror] if swapped else mirror)
    told = [list(turned_copies(FolderDataset(
        data_root=str(tmp_path), pipeline=TEST, tasks=dict(parsing=PARSING | options))))
        for options in ({}, dict(class_names=('background', 'upper', 'lower')))]
    assert [len(one) for one in told] == [not swapped, 0]


def test_training_and_check_tell(tmp_path: Path, warned: list[str]) -> None:
    look_at_labels(copies(tmp_path, 'turned left'))
    assert 'the labels of the task normal of 0000_aug (turned left)' in ' '.join(warned)
    report = check_configs(dict(train=dict(type='mtpsl.FolderDataset', data_root=str(tmp_path),
                                           tasks=dict(normal=dict(type='Normal')))))
    assert 'turned copies' in [one.what for one in report.findings]
