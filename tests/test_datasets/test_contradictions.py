"""Labels of splits, and of one set, that contradict each other."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import ConcatDataset
from PIL import Image

from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.contradictions import compare_labels, compare_sets
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.engine.checks.check_commands import _compare_splits
from mtpsl.registry import DATASETS

from .conftest import TEST
from .looking import NO, SIZE, TASKS, YES, dataset, write

FROM_0 = np.arange(72).reshape(SIZE).astype(np.uint8) % 3
THREE = dict(classes=dict(type='Semseg', class_names=('a', 'b', 'c', 'd')))


def test_ids_from_1_beside_ids_from_0(tmp_path: Path, warned: list[str]) -> None:
    root = write(tmp_path / 'a', 8, lambda number: FROM_0)
    for number in range(0, 8, 2):  # in arrays
        (root / f'classes/{number}.png').unlink()
        np.save(root / f'classes/{number}.npy', np.roll(FROM_0, number, 1))
    first = look_at_labels(dataset(root, THREE))
    assert not warned
    for number in range(0, 8, 2):
        np.save(root / f'classes/{number}.npy', np.roll(FROM_0, number, 1) + 1)
    second = look_at_labels(dataset(root, THREE))
    assert 'hold 0 (a) in all labels of .png files and none of .npy files: are' in warned[0]
    shifted = look_at_labels(dataset(write(tmp_path / 'b', 8, lambda number: FROM_0 + 1), THREE))
    assert [*compare_labels(first, first), *compare_labels(shifted, shifted),
            *compare_labels(second, first)] == [] and len(warned) == 2
    assert 'hold 0 (a) in none of 8 that were opened, and each id from 1 (b) to 3 (d)' in warned[1]
    told, = compare_labels(shifted, first)
    assert 'the task classes hold 0 (a) in all labels of evaluation and none of training' in told


RAMP = np.linspace(3, 1, SIZE[0] * SIZE[1]).reshape(SIZE)
CONTRADICTIONS = [
    ('classes', lambda number: FROM_0 % 2, lambda number: FROM_0,
     'hold 2 (c) in 8 of 8 labels of evaluation and in none of 8 of training'),
    ('classes', lambda number: FROM_0, lambda number: FROM_0 % 2, 'in 8 of 8 labels of training'),
    ('classes', lambda number: FROM_0 % (2 + number % 2), lambda number: FROM_0 % 2, ''),  # chance
    ('mask', lambda number: YES, lambda number: 1 - YES,
     'are a yes on 11% of the pixels in training and on 89% in evaluation: are they inverted'),
    ('mask', lambda number: 1 - YES, lambda number: YES, 'inverted'),
    ('mask', lambda number: YES, lambda number: YES if number % 3 else 1 - YES, ''),
    ('depth', lambda number: RAMP, lambda number: RAMP * 20,
     ' m in evaluation (most of them): are they of one unit?'),
    ('depth', lambda number: RAMP ** 4, lambda number: RAMP ** 4 * 12, 'of one unit'),  # overlap
    ('depth', lambda number: RAMP * 1.8, lambda number: RAMP, ''),
    ('normal', lambda number: vectors(.5, .7), lambda number: vectors(-.5, .7),
     'point up (y > 0) in the mean in 8 of 8 labels of training and point down (y < 0) in'),
    ('normal', lambda number: vectors(.5, .7), lambda number: vectors(.7, .5), 'y and z swapped'),
    ('normal', lambda number: vectors(.6, .5, .1), lambda number: vectors(-.1, .5, .6),
     'down (y < 0)'),
    ('normal', lambda number: vectors(.6, .7, .1), lambda number: vectors(.1, .7, .6),
     'x and y swapped'),
    ('normal', lambda number: vectors(.5, .7), lambda number: vectors(.5 if number else -.5, .7),
     ''),
    ('normal', lambda number: vectors(.004, .7), lambda number: vectors(-.004, .7), ''),  # rounding
    ('boundary', lambda number: lines(1, 4), lambda number: lines(2, 3, 4),
     'lines that are 1 pixels wide in training and 2.7 in evaluation'),
    ('boundary', lambda number: lines(2, 3), lambda number: lines(4), '2 pixels wide in training'),
    ('boundary', lambda number: lines(4), lambda number: lines(0, 2, 4, 6), ''),  # a busy scene
    ('boundary', lambda number: lines(4),  # drawn as wide, in a larger map
     lambda number: lines(4).repeat(2, 0).repeat(2, 1), ''),
    ('boundary', lambda number: lines(4), lambda number: lines(*[4, 3][:1 + number % 2]), '')]
CONVENTIONS = ('mask', 'normal', 'boundary')  # of a task, so that sets are compared in them too


def vectors(y: float, z: float, x: float = 0.0) -> np.ndarray:
    """A label whose mean vector has these ratios, and whose vectors differ."""
    turned = np.zeros((*SIZE, 3), np.float32) + np.float32([x, y, z])
    turned[..., 0] += np.linspace(-.05, .05, SIZE[1], dtype=np.float32)
    return turned / np.linalg.norm(turned, axis=2, keepdims=True)


def lines(*rows: int) -> np.ndarray:
    label = NO.copy()
    label[list(rows)] = 1
    return label


@pytest.mark.parametrize('task, first, second, told', CONTRADICTIONS)
def test_labels_of_training_and_evaluation_that_contradict_each_other(
        tmp_path: Path, task: str, first: Callable, second: Callable, told: str,
        warned: list[str]) -> None:
    tasks = dict(THREE, mask=TASKS['mask'], depth=dict(type='Depth'), normal=dict(type='Normal'),
                 boundary=dict(type='Boundary'))
    tasks = {task: tasks[task]}
    configs = {}
    for split, labels in (('train', first), ('val', second)):
        root = write(tmp_path / split, 8)
        (root / task).mkdir(exist_ok=True)
        for number in range(8):
            for path in (root / task).glob(f'{number}.*'):
                path.unlink()
            np.save(root / f'{task}/{number}.npy', labels(number))
        configs[split] = dict(type='mtpsl.FolderDataset', data_root=str(root), tasks=tasks)
    seen = [look_at_labels(dataset(tmp_path / split, tasks)) for split in configs]
    before = ''.join(compare_labels(*seen))
    assert told in before and bool(told) == bool(before)
    if task in CONVENTIONS:
        other = before.replace('training', 'a').replace('evaluation', 'b')
        assert list(compare_sets(dict(b=seen[1], a=seen[0]))) == [other] * bool(told)
        warned.clear()
        look_at_labels(ConcatDataset([dataset(tmp_path / split, tasks) for split in configs]))
        assert ('in dataset 2' in ''.join(warned) or 'of dataset 2' in ''.join(warned)) == (
            bool(told))
        for one in seen:  # nobody can change what is published; what is held against it, they can
            one[task][1].published = True
            assert bool(''.join(compare_labels(*seen))) == (bool(told) and one is seen[0])
    report = check_configs(configs)
    _compare_splits(Config({f'{split}_dataloader': dict(dataset=config)
                            for split, config in configs.items()}), report)
    assert [one for one in report.remarks if one.startswith('val: the labels of')] == (
        [f'val: {before}'] if told else [])
    assert ('val', 'labels', 'others', 'as in training', 'differs') in report.findings or not told


def test_images_without_contrast(tmp_path: Path, warned: list[str]) -> None:
    """As a picture of 0 to 1 that was saved as bytes."""
    root = write(tmp_path, classes=lambda number: FROM_0 * (number % 2))
    for number in range(12):
        cv2.imwrite(str(root / f'images/{number}.png'), np.dstack([FROM_0] * 3))
    look_at_labels(dataset(root, THREE))
    assert warned == ['FolderDataset: the images that were opened hold 0 to 2 only, of 0 to 255: '
                      'nothing can be seen in them']


def test_one_label_copied_for_all_images(tmp_path: Path, warned: list[str]) -> None:
    root = write(tmp_path, classes=lambda number: np.roll(FROM_0, -number, 1))
    look_at_labels(dataset(root, THREE))
    assert 'that were opened are one and the same map, whatever the image' in warned[0]
    cv2.imwrite(str(root / 'classes/0.png'), np.roll(FROM_0, 1))
    look_at_labels(dataset(root, THREE))
    assert len(warned) == 1


@pytest.mark.parametrize('order, options, told', [
    ((0, 2, 1), {}, True), ((0, 1, 2), {}, False), ((0, 2, 1), dict(values=(0, 1, 2)), False)])
@pytest.mark.parametrize('joint', [False, True])
def test_palettes_whose_classes_have_another_order(tmp_path, order, options, told, joint, warned):
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    classes = dict(type='Semseg', class_names=('a', 'b', 'c'), **options)
    configs = {}
    for split, places in (('train', (0, 1, 2)), ('val', order)):
        root = write(tmp_path / split, 8)
        for number in range(8):
            picture = Image.fromarray(np.roll(FROM_0, number, 1))
            picture.putpalette(colours[list(places)].tobytes())
            picture.save(root / f'classes/{number}.png')
        configs[split] = dict(type='mtpsl.FolderDataset', data_root=str(root),
                              tasks=dict(classes=classes), pipeline=TEST)
    one, other = (DATASETS.build(config) for config in configs.values())
    look_at_labels(ConcatDataset([one, other]))
    assert [('another order of classes?' in text) for text in warned] == [True] * told
    learned, tested = look_at_labels(one), look_at_labels(other)
    found = list(compare_sets(dict(a=learned, b=tested)) if joint else
                 compare_labels(learned, tested))
    assert ['the index 1 in ' in text and 'the index 2 in' in text for text in found] == (
        [True] * told)
    report = check_configs({f'train {name}': config for name, config in zip('ab', configs.values())}
                           if joint else configs)
    dataset = dict(type='JointDataset', datasets=dict(zip('ab', configs.values())))
    _compare_splits(Config(dict(train_dataloader=dict(dataset=dataset)) if joint else {
        f'{split}_dataloader': dict(dataset=config) for split, config in configs.items()}), report)
    assert ('another order of classes?' in ''.join(report.remarks)) == told


@pytest.mark.parametrize('classes, told', [(12, True), (8, False)])
@pytest.mark.parametrize('gaps', [False, True])
def test_numbers_of_objects_for_classes(classes, gaps, told, tmp_path, warned):
    """Each label holds 1 to its number of objects; class ids have gaps."""
    def numbered(number: int) -> np.ndarray:
        label = np.zeros(SIZE, np.uint8)
        for place in range(3 + number % 5):
            label[place] = place + 1 + gaps * (place and number % 3)
        return label

    tasks = dict(classes=dict(type='Semseg', class_names=tuple('abcdefghijklmnopq'[:classes])))
    look_at_labels(dataset(write(tmp_path, 16, numbered), tasks))
    found = [line for line in warned if 'hold the numbers 1 to k without a gap, k being 3' in line]
    assert len(found) == (told and not gaps)
