"""Labels that were copied from others, or from the image; and images that are half there."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.copied_labels import CopiedLabels, copied_files
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.checks.seen_photos import Photo, truncated
from mtpsl.registry import DATASETS
from mtpsl.tasks import build_tasks
from mtpsl.tasks.seen import Seen

from .conftest import TEST


def scenes(number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images of large random cells, and class maps of the same cells."""
    rng, found = np.random.default_rng(0), []
    for _ in range(number):
        cells = rng.integers(0, 4, (4, 5), np.uint8)
        label = np.kron(cells, np.ones((8, 8), np.uint8))
        image = np.uint8(label[..., None] * 60 + rng.integers(0, 30, (32, 40, 3)))
        found.append((image, label))
    return found


def told(pairs: list[tuple[np.ndarray, np.ndarray]]) -> str:
    copies = CopiedLabels()
    for number, (image, label) in enumerate(pairs):
        copies.add(image, label, 255, str(number))
    return copies.told()


def test_labels_of_one_frame_that_were_copied_to_the_next():
    pairs = scenes(12)
    assert not told(pairs)
    copied = [(image, pairs[number // 4 * 4][1]) for number, (image, _) in enumerate(pairs)]
    assert told(copied).startswith('are the map of another image in 9 of 12 (1 is 0, 2 is 0, 3 is')
    assert not told(copied[:3] + pairs[3:])  # two of twelve may be a mistake or chance


def test_labels_that_are_right_to_be_alike():
    image, label = scenes(1)[0]
    rng = np.random.default_rng(1)
    fixed = [(np.uint8(image // 2 + rng.integers(0, 40)), label) for _ in range(9)]
    assert not told(fixed)  # a fixed camera, in another light each
    assert not told([(image, np.zeros_like(label)) for image, _ in scenes(9)])  # nothing is there
    assert not told(fixed[:1] * 9)  # one image many times
    assert not told([(255 - image if number % 2 else image, label) for number in range(9)])
    hood = np.zeros_like(label)
    hood[24:] = 255  # never known, and no object elsewhere
    assert not told([(image, hood) for image, _ in scenes(9)])


def half(number: int, rows: int, every: int = 2, level: int = 128) -> list[Photo]:
    """Some of these photos end in plain rows, now one more and now one less."""
    photos = []
    for place, (image, _) in enumerate(scenes(number)):
        if place % every == 1 % every:
            image[32 - rows - place % 3:] = level
        photos.append(Photo.of(image, str(place)))
    return photos


@pytest.mark.parametrize('level', [128, 0])
def test_images_of_truncated_files(level: int):
    told, = truncated(half(8, 16, level=level))
    assert 'in 4 of 8 (1, 3, 5, ...), 53% of each' in told
    assert list(truncated(half(8, 16, 1)))  # all, and each elsewhere
    assert not list(truncated(half(8, 0))) and not list(truncated(half(8, 16, level=77)))
    image = scenes(1)[0][0]
    image[22:] = 0  # the car's hood, or padding to a square
    assert not list(truncated([Photo.of(image, str(place)) for place in range(8)]))
    image[:] = 128
    assert not list(truncated([Photo.of(image)]))  # nothing in it, which others tell


def test_a_check_of_the_data_tells_both(tmp_path: Path):
    for folder in ('images', 'semseg'):
        (tmp_path / folder).mkdir()
    pairs = scenes(12)
    for number, (image, _) in enumerate(pairs):
        if number == 5:
            image[20:] = 128
        cv2.imwrite(str(tmp_path / f'images/{number}.png'), image)
        cv2.imwrite(str(tmp_path / f'semseg/{number}.png'), pairs[number // 3 * 3][1])
    report = check_configs(dict(train=dict(
        type='mtpsl.FolderDataset', data_root=str(tmp_path),
        tasks=dict(semseg=dict(type='Semseg', class_names=tuple('abcd'))))))
    assert any('are the map of another image in' in text for text in report.remarks)
    assert not report.sound
    told, = (text for text in report.remarks if 'truncated' in text)
    assert told.startswith('train: the images are plain middle grey') and '1 of 12 (5), 38%' in told


@pytest.mark.parametrize('blank', [True, False])
def test_training_compares_the_files_of_labels(tmp_path: Path, blank: bool, warned: list[str]):
    """Of which it opens eight only, spread over the set; here no two of one frame."""
    pairs = scenes(96)
    for folder in ('images', 'semseg', 'depth'):
        (tmp_path / folder).mkdir()
    for number, (image, _) in enumerate(pairs):
        label = pairs[number // 2 * 2][1]
        cv2.imwrite(str(tmp_path / f'images/{number:03}.png'), image)
        cv2.imwrite(str(tmp_path / f'semseg/{number:03}.png'), label * (not blank))
        np.save(tmp_path / f'depth/{number:03}.npy', np.float32(pairs[number][1] + 1 + number))
    dataset = DATASETS.build(dict(
        type='mtpsl.FolderDataset', data_root=str(tmp_path), pipeline=TEST, tasks=dict(
            semseg=dict(type='Semseg', class_names=tuple('abcd')),
            depth=dict(type='Depth', ignore=()))))
    look_at_labels(dataset)
    assert not [text for text in warned if 'are the map of another image' in text]
    told = list(copied_files(dataset))
    assert len(told) == (not blank)
    assert blank or 'task semseg are the map of another image in 48 of 96 (001 is 000' in told[0]


def test_depth_that_is_the_photo():
    labels = CopiedLabels()
    for number, (image, _) in enumerate(scenes(10)):
        labels.add(image, image.astype(np.float32).mean(2) / 25.5, 0, str(number))
    assert labels.told().startswith('are the grey of their images in 10 of 10')
    labels = CopiedLabels()
    for number, (image, label) in enumerate(scenes(10)):
        depth = np.float32(label + np.random.default_rng(number).random(label.shape))
        labels.add(image, depth, 0, str(number))
    assert not labels.told()


def test_images_of_one_dark_end_are_not_truncated():
    for top, bottom in ((10, 10), (10, 3), (0, 3)):  # letterboxed; a frame's border
        image = scenes(1)[0][0] + 1
        image[:top], image[32 - bottom:] = 0, 0
        assert Photo.of(image).lost < 0.1
    image[16:] = 0
    assert Photo.of(image).lost == 0.5


@pytest.mark.parametrize('constant, known, told', [
    (0, 72, False), (1, 72, False), (3, 72, True), (3, 4, False), (12, 72, False)])
def test_maps_of_one_value_among_others(constant: int, known: int, told: bool):
    task = build_tasks(dict(depth=dict(type='Depth')))['depth']
    rng, seen = np.random.default_rng(0), Seen()
    for number in range(12):
        label = np.float32(rng.uniform(1, 9, (8, 9)))
        if number < constant:
            label[:] = 5
            label.ravel()[known:] = 0
        seen.add(label, 0, f'{number}.npy')
    assert told == ('one value wherever they are known in 3 of 12, such as 0.npy' in str(
        task.doubt(seen)))
