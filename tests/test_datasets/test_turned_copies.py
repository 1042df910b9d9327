"""Copies that were mirrored or turned on disk, whose labels may have kept their values."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.data_prep.synthetic import render_scene
from mtpsl.datasets import FolderDataset
from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.checks.turned_copies import KINDS, turned_copies
from mtpsl.tasks.normal import Normal

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
    assert DONE.keys() == KINDS.keys()
    text, = turned_copies(copies(tmp_path, name))
    assert text.startswith(f'normal of 0000_aug ({name}), 0001_aug ({name}), ')


@pytest.mark.parametrize('wrong, template, told', [
    (0, '{}_aug', 0), (1, '{}_aug', 0), (2, '{}_aug', 1), (4, 'flip-{}', 1), (4, '{}_1', 0)])
def test_right_copies_and_other_images(wrong, template, told, tmp_path: Path) -> None:
    """Frames of a film are numbered, and no copies."""
    assert len(list(turned_copies(copies(tmp_path, 'mirrored', wrong, template)))) == told


@pytest.mark.parametrize('name', DONE)
@pytest.mark.parametrize('swapped', [False, True])
def test_sides_of_bodies(name: str, swapped: bool, tmp_path: Path) -> None:
    """A mirror image exchanges left and right, a rotation does not."""
    for number in range(4):
        scene = render_scene(number, 48, 64)
        label = np.where(scene.saliency == 1, np.arange(64) // 8 % 2 + 1, 0).astype(np.uint8)
        write(tmp_path, f'{number}', scene.image, parsing=label)
        copy = DONE[name][0](label)
        write(tmp_path, f'{number}m', DONE[name][0](scene.image),
              parsing=np.uint8([0, 2, 1])[copy] if swapped else copy)
    told = [list(turned_copies(FolderDataset(
        data_root=str(tmp_path), pipeline=TEST, tasks=dict(parsing=PARSING | options))))
        for options in ({}, dict(class_names=('background', 'upper', 'lower')))]
    mirrors = name in ('mirrored', 'mirrored top to bottom', 'transposed',
                       'transposed and turned by 180 degrees')
    assert len(told[0]) == (mirrors and not swapped) and told[1] == []


def test_photos_of_one_place_are_no_copies(tmp_path: Path) -> None:
    """The same picture under two names, and flat ones, of which nothing can be said."""
    scene = render_scene(0, 48, 64)
    for number, image in enumerate((scene.image, np.full_like(scene.image, 90))):
        for name in ('', 'a', 'b', 'c'):
            write(tmp_path, f'{number}{name}', image, normal=scene.normal)
    assert not list(turned_copies(FolderDataset(
        data_root=str(tmp_path), pipeline=TEST, tasks=dict(normal=dict(type='Normal')))))


class Flow(Normal):
    """A task of the user's own, of two channels; ``flip`` expects (H, W, 2)."""

    label_channels = channels = 2

    def from_array(self, values: np.ndarray) -> np.ndarray:
        return values

    def flip(self, label: np.ndarray) -> np.ndarray:
        return label[:, ::-1] * np.array([-1, 1], label.dtype)


def test_tasks_of_two_channels(tmp_path: Path) -> None:
    scene = render_scene(0, 48, 64)
    for name in ('0', '0m', '1', '1m'):
        image, flow = scene.image, np.ones((48, 64, 2), np.float32)
        write(tmp_path, name, image[:, ::-1] if 'm' in name else image, flow=flow)
    told, = turned_copies(FolderDataset(data_root=str(tmp_path), pipeline=TEST,
                                        tasks=dict(flow=dict(type=Flow))))
    assert told.startswith('flow of 0m (mirrored), 1m (mirrored), which')


def test_training_and_check_tell(tmp_path: Path, warned: list[str]) -> None:
    look_at_labels(copies(tmp_path, 'turned left'))
    assert 'the labels of the task normal of 0000_aug (turned left)' in ' '.join(warned)
    report = check_configs(dict(train=dict(type='mtpsl.FolderDataset', data_root=str(tmp_path),
                                           tasks=dict(normal=dict(type='Normal')))))
    assert 'turned copies' in [one.what for one in report.findings]
