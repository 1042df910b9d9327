"""Labels that were copied from others, or from the image; and images that are half there."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.datasets.check_dataset import check_configs
from mtpsl.datasets.copied_labels import CopiedLabels
from mtpsl.datasets.look import look_at_labels
from mtpsl.datasets.seen_photos import Photo, compare_photos
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
        copies.add(image, label, str(number))
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


@pytest.mark.parametrize('lost, word', [(16, '50% of each'), (2, ''), (32, '')])
def test_images_of_truncated_files(lost: int, word: str):
    photos = []
    for number, (image, _) in enumerate(scenes(8)):
        if number % 2:
            image[32 - lost:] = 128
        photos.append(Photo.of(image, str(number)))
    for learned, tested in ((photos, []), ([], photos)):
        found = [text for text in compare_photos(learned, tested) if 'truncated' in text]
        assert [word in text and 'in 4 of 8 (1, 3, 5, ...)' in text for text in found] == (
            [True] * bool(word))


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
    assert not report.sound and report.photos['train'][-1].name


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
    look_at_labels(DATASETS.build(dict(
        type='mtpsl.FolderDataset', data_root=str(tmp_path), pipeline=TEST, tasks=dict(
            semseg=dict(type='Semseg', class_names=tuple('abcd')),
            depth=dict(type='Depth', ignore=())))))
    told = [text for text in warned if 'are the map of another image' in text]
    assert len(told) == (not blank)
    assert blank or 'task semseg are the map of another image in 48 of 96 (001 is 000' in told[0]


def test_depth_that_is_the_photo():
    labels = CopiedLabels()
    for number, (image, _) in enumerate(scenes(10)):
        labels.add(image, image.astype(np.float32).mean(2) / 25.5, str(number))
    assert labels.told().startswith('are the grey of their images in 10 of 10')
    labels = CopiedLabels()
    for number, (image, label) in enumerate(scenes(10)):
        depth = np.float32(label + np.random.default_rng(number).random(label.shape))
        labels.add(image, depth, str(number))
    assert not labels.told()


def test_images_of_one_dark_end_are_not_truncated():
    for top, bottom in ((10, 10), (10, 3), (0, 3)):  # letterboxed; a frame's border
        image = scenes(1)[0][0] + 1
        image[:top], image[32 - bottom:] = 0, 0
        assert Photo.of(image).lost < 0.1
    image[16:] = 0
    assert Photo.of(image).lost == 0.5


def test_maps_of_one_value_among_others():
    task = build_tasks(dict(depth=dict(type='Depth')))['depth']
    rng = np.random.default_rng(0)
    for constant, told in ((0, False), (1, False), (3, True), (12, False)):
        seen = Seen()
        for number in range(12):
            label = np.float32(rng.uniform(1, 9, (8, 9)))
            seen.add(np.full_like(label, 5) if number < constant else label, 0, f'{number}.npy')
        doubt = task.doubt(seen)
        assert told == ('one value wherever they are known in 3 of 12, such as 0.npy' in str(doubt))
