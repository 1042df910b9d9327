"""The look at some labels before a run."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from PIL import Image

from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.look import AT_LEAST, AT_MOST, look_at_labels
from mtpsl.datasets.walks import spread

from .conftest import READ, TEST
from .looking import NO, SIZE, TASKS, YES, dataset, write


@pytest.mark.parametrize('count', [1, 2, 3, 10, 89, 5000])
def test_the_order_is_a_permutation_whose_beginning_is_spread(count: int) -> None:
    order = list(spread(count))
    assert sorted(order) == list(range(count)) and order == list(spread(count))
    if count == 5000:
        assert np.diff(sorted(order[:8])).max() < 1250


def test_good_labels_say_nothing(tmp_path: Path, warned: list[str]) -> None:
    look_at_labels(dataset(write(tmp_path)))
    assert warned == []


@pytest.mark.parametrize('count', [2, 12])
@pytest.mark.parametrize('training', [True, False])
def test_masks_of_0_and_255_as_classes(tmp_path: Path, count: int, training: bool) -> None:
    root = write(tmp_path, count, lambda number: YES * 255)
    words = (rf'^FolderDataset: the {count} labels of the task classes that were opened hold 0 and '
             r'255 only, and 255 is unknown: if 255 is a class, write values=\(0, 255\)')
    with pytest.raises(ValueError, match=words):
        look_at_labels(dataset(root), training)
    report = check_configs(dict(train=dict(type='mtpsl.FolderDataset', data_root=str(root),
                                           tasks=TASKS)))
    assert not report.sound and 'write values=(0, 255) for the task' in report.remarks[0]
    tasks = TASKS | dict(classes=TASKS['classes'] | dict(values=(0, 255)))
    look_at_labels(dataset(root, tasks))
    assert dataset(root, tasks)[0]['data_samples'].gt.classes.unique().tolist() == [0, 1]


def coloured(*colours: tuple[int, int, int], pixels: np.ndarray = YES) -> Image.Image:
    picture = Image.fromarray(pixels)
    picture.putpalette(sum(colours, ()))
    return picture


BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 255, 0)
BIT = Image.fromarray(YES * 255).convert('1')


@pytest.mark.parametrize('task, one, other, words, options, labels', [
    ('mask', YES, YES * 255, r'yes is (1|white), .* values=\(0, \(1, 255\)\) ', dict(
        values=(0, (1, 255))), [0, 1]),
    ('mask', YES, YES * 255, r'yes is .* but .*ignore=\(255,\) makes 255 unknown', dict(
        ignore=(255,)), [0, 1, 255]),
    ('mask', YES.astype(np.uint16) * 255, YES.astype(np.uint16) * 65535, 'yes is ', dict(
        values=(0, (255, 65535))), [0, 1]),
    ('classes', coloured(BLACK, RED), coloured(BLACK, GREEN), 'index 1 is the colour .* values of '
     'the task', dict(values=(0, 1)), [0, 1]),
    ('classes', coloured(BLACK, RED), coloured(RED, BLACK), 'index 0 is .*colour_coded=True', dict(
        colour_coded=True, palette=(BLACK, RED)), [0, 1]),
    ('classes', BIT, YES, 'a class id is of (1|8) bit', dict(values=(0, 1)), [0, 1])])
def test_pictures_of_a_set_are_written_in_one_way(
        tmp_path: Path, task: str, one: object, other: object, words: str, options: dict,
        labels: list) -> None:
    root = write(tmp_path, 6)
    for number in range(6):
        picture = one if number % 2 else other
        picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        picture.save(root / f'{task}/{number}.png')
    for on_error in ('raise', 'skip'):
        with pytest.raises(RuntimeError, match=f'{task} label .*{words}'):
            look_at_labels(dataset(root, on_error=on_error))
    config = dict(type='mtpsl.FolderDataset', data_root=str(root), tasks=TASKS)
    assert len(check_configs(dict(train=config)).problems) == 3
    said = dataset(root, TASKS | {task: TASKS[task] | options}, pipeline=READ)
    look_at_labels(said)
    assert sorted({int(value) for sample in said for value in np.unique(
        sample['gt'][task])}) == labels


@pytest.mark.parametrize('values, words', [
    (NO, r'classes that were opened hold one class only, 0 \(a\)'),
    (NO + 1, r'classes that were opened hold one class only, 1 \(b\)'),
    (NO + 255, 'classes that were opened hold no known pixel')])
def test_labels_that_say_nothing(tmp_path: Path, warned: list[str], values: np.ndarray,
                                 words: str) -> None:
    root = write(tmp_path, classes=lambda number: values)
    with pytest.raises(ValueError, match=words):
        look_at_labels(dataset(root))
    assert warned == []
    look_at_labels(dataset(root), training=False)  # a validation set may be so
    assert len(warned) == 1
    with pytest.raises(ValueError, match=words):
        raise ValueError(warned[0])


def test_blank_labels_among_others_are_warned_of(tmp_path: Path, warned: list[str]) -> None:
    """A converter's file for an image that has no label: the image's other labels weigh less."""
    root = write(tmp_path, 8, lambda number: NO + 255 if number % 4 else YES, lambda number: NO)
    cv2.imwrite(str(root / 'mask/3.png'), YES * 255)  # masks without a yes are known
    look_at_labels(dataset(root))
    assert 'mask that were opened are of one value in 7 of 8, no yes or no no' in warned.pop()
    assert len(warned) == 1
    assert 'classes that were opened hold no known pixel in 6 of 8 (' in warned[0]
    assert warned[0].count('.png') == 3 and 'delete the file' in warned[0]
    config = dict(type='mtpsl.FolderDataset', data_root=str(root), tasks=TASKS)
    report = check_configs(dict(train=config))
    assert [line[1:4] for line in report.findings if line.verdict != 'ok'] == [
        ('classes blank', '6 of 8 labels', 'none')]
    assert 'mask labels that were opened are of one value in 7 of 8' in report.remarks[1]
    assert 'no known pixel in 6 of 8' in report.remarks[0]
    warned.clear()
    look_at_labels(dataset(root), training=False)  # where no figure depends on them
    assert not warned and check_configs(dict(val=config)).sound
    (root / 'mapping.json').write_text(json.dumps(
        {str(number): ['mask'] if number % 4 else ['classes', 'mask'] for number in range(8)}))
    look_at_labels(dataset(root, label_mapping='mapping.json'))
    assert not any('known pixel' in one for one in warned)


def test_a_few_labels_of_one_of_two_tasks_are_only_warned_of(tmp_path: Path,
                                                            warned: list[str]) -> None:
    root = write(tmp_path, 3, mask=lambda number: NO)
    look_at_labels(dataset(root))
    assert warned == ['FolderDataset: the 3 labels of the task mask that were opened hold no pixel '
                      'that is a yes: nothing can be learned from them']
    with pytest.raises(ValueError, match='the 3 labels of the task mask'):
        look_at_labels(dataset(root, dict(mask=TASKS['mask'])))  # nothing else to learn


def test_depth_in_two_units_is_warned_of_with_two_files(tmp_path: Path, warned: list[str]) -> None:
    root = write(tmp_path)
    (root / 'depth').mkdir()
    for number in range(12):
        unit = 1000 if number == 7 else 1
        np.save(root / f'depth/{number}.npy', np.linspace(0.9, 0.1, 72).reshape(SIZE) * unit)
    look_at_labels(dataset(root, dict(depth=dict(type='Depth'))))
    assert len(warned) == 1 and 'two units' in warned[0] and 'depth/7.npy' in warned[0]


def test_depth_that_is_far_is_warned_of(tmp_path: Path, warned: list[str]) -> None:
    root = write(tmp_path)
    (root / 'depth').mkdir()
    for number in range(12):
        np.save(root / f'depth/{number}.npy', np.linspace(300, 200, 72).reshape(SIZE))
    look_at_labels(dataset(root, dict(depth=dict(type='Depth'))))
    assert len(warned) == 1 and 'half are above 250' in warned[0] and 'learned' not in warned[0]


@pytest.mark.parametrize('display, told', [(20, True), (40, False)])
def test_depth_beyond_what_pictures_show(tmp_path, warned, display: float, told: bool) -> None:
    root = write(tmp_path)
    (root / 'depth').mkdir()
    for number in range(12):
        np.save(root / f'depth/{number}.npy', np.linspace(50, 10, 72).reshape(SIZE) + number)
    look_at_labels(dataset(root, dict(depth=dict(type='Depth', max_display=display))))
    found = [text for text in warned if f'is beyond max_display={display} of the task' in text]
    assert len(found) == len(warned) == told


@pytest.mark.parametrize('training', [True, False])
def test_a_mark_of_missing_depth_ends_it(tmp_path: Path, training: bool) -> None:
    root = write(tmp_path)
    (root / 'depth').mkdir()
    for number in range(12):
        depth = np.linspace(1 + number, 20, 72).reshape(SIZE)
        depth[:3] = 999 if number % 2 else depth[:3]
        np.save(root / f'depth/{number}.npy', depth)
    words = r'depth that were opened hold 999 m on many .* ignore=\(999,\) for the task'
    with pytest.raises(ValueError, match=words):
        look_at_labels(dataset(root, dict(depth=dict(type='Depth'))), training)
    config = dict(type='mtpsl.FolderDataset', data_root=str(root), tasks=dict(
        depth=dict(type='Depth')))
    report = check_configs(dict(train=config))
    assert not report.sound and 'ignore=(999,)' in report.remarks[0]
    for ignore in ((999,), ()):
        look_at_labels(dataset(root, dict(depth=dict(type='Depth', ignore=ignore))), training)


def test_labels_that_could_not_be_read_are_not_missing(tmp_path: Path) -> None:
    root = write(tmp_path, 2)
    for path in (root / 'mask').iterdir():
        path.write_bytes(b'damaged')
    report = check_configs(dict(train=dict(type='mtpsl.FolderDataset', data_root=str(root),
                                           tasks=TASKS, on_error='skip')))
    assert len(report.problems) == 2 and [(line.found, line.verdict) for line in report.findings
                                          if line.what == 'mask'] == [
        ('none could be read', 'BROKEN')]


def test_rare_classes_are_looked_for_but_not_for_ever(tmp_path: Path, warned: list[str]) -> None:
    order = list(spread(100))
    rare = write(tmp_path / 'rare', 100, mask=lambda number: YES * 255 * (number == order[40]))
    look_at_labels(dataset(rare))
    assert 'are of one value in 40 of 41' in warned.pop() and not warned
    rarer = write(tmp_path / 'rarer', 100, mask=lambda number: YES * 255 * (number == order[90]))
    look_at_labels(dataset(rarer))
    assert len(warned) == 1 and f'the {AT_MOST} labels of the task mask' in warned[0]


def test_a_bounded_number_of_labels_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             ) -> None:
    opened = []
    data = dataset(write(tmp_path, 100), pipeline=READ)
    monkeypatch.setattr('mtpsl.datasets.transforms.loading._open', lambda path: (
        opened.append(path), cv2.imread(path, cv2.IMREAD_UNCHANGED))[1])
    look_at_labels(data)
    assert len(set(opened)) == 2 * AT_LEAST


def test_withheld_labels_are_not_opened(tmp_path: Path, warned: list[str]) -> None:
    root = write(tmp_path)
    mapping = {str(number): ['classes'] if number % 2 else [] for number in range(12)}
    (root / 'm.json').write_text(json.dumps(mapping))
    for path in [*(root / 'mask').iterdir(), *(root / 'classes').glob('[02468].png')]:
        path.write_bytes(b'damaged')
    look_at_labels(dataset(root, label_mapping='m.json'))
    assert warned == ['FolderDataset: no image is labelled for the task mask']


@pytest.mark.parametrize('pipeline', [[TEST[0], TEST[2]], [
    TEST[0], TEST[2] | dict(type='mtpsl.MultiView', views=[[], []])]])
def test_a_pipeline_without_labels(tmp_path: Path, warned: list[str], pipeline: list) -> None:
    data = dataset(write(tmp_path), pipeline=pipeline)
    words = ('FolderDataset: labels of classes, mask do not leave the pipeline, which needs '
             'LoadLabels after LoadImageFromFile')
    with pytest.raises(ValueError, match=words):
        look_at_labels(data)
    look_at_labels(data, training=False)
    assert warned == [words]


def test_random_states_are_left_alone(tmp_path: Path) -> None:
    pipeline = [*TEST[:2], dict(type='mtpsl.RandomFlip'), TEST[2]]
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    look_at_labels(dataset(write(tmp_path), pipeline=pipeline))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_data_sets_in_wrappers_complete_each_other(tmp_path: Path, warned: list[str]) -> None:
    empty = write(tmp_path / 'empty', mask=lambda number: NO)
    full = write(tmp_path / 'full', classes=lambda number: YES * 255)
    tasks = dict(mask=TASKS['mask'])
    look_at_labels(ConcatDataset([dataset(empty, tasks), dataset(full, tasks)]))
    assert 'are of one value in 12 of 20' in warned.pop() and not warned
    with pytest.raises(ValueError, match='hold no pixel that is a yes'):
        look_at_labels(RepeatDataset(dataset(empty, tasks), 2))
    with pytest.raises(ValueError, match='hold 0 and 255 only'):  # in one of them
        look_at_labels(ConcatDataset([dataset(empty), dataset(full)]))


def test_unreadable_labels(tmp_path: Path) -> None:
    root = write(tmp_path)
    bad = root / f'mask/{next(spread(12))}.png'
    bad.write_bytes(b'damaged')
    with pytest.raises(RuntimeError, match=f'^FolderDataset, image .* the mask label {bad}: '):
        look_at_labels(dataset(root))
    look_at_labels(dataset(root, on_error='skip'))
    for path in (root / 'mask').iterdir():
        path.write_bytes(b'damaged')
    with pytest.raises(RuntimeError, match='cannot use the mask label'):
        look_at_labels(dataset(root, on_error='skip'))


@pytest.mark.parametrize('second, told', [
    (dict(type='Semseg', class_names=('b', 'c')), True), (dict(type='Saliency'), False),
    (dict(type='Semseg', class_names=('b', 'c'), values=(1, 0)), False)])
def test_tasks_that_read_one_folder_alike(tmp_path, warned, second: dict, told: bool) -> None:
    root = write(tmp_path, classes=lambda number: YES)
    tasks = dict(one=dict(type='Semseg', class_names=('a', 'b')), two=second)
    data = dataset(root, tasks, folders=dict(one='classes', two='classes'))
    look_at_labels(data)
    words = 'one and two have the same labels in all 8 images'
    assert [words in text for text in warned] == ([True] if told else [])
    report = check_configs(dict(train=dict(
        type='mtpsl.FolderDataset', data_root=str(root), tasks=tasks, split='',
        folders=dict(one='classes', two='classes'))))
    assert told == any(words.replace('8', '12') in text for text in report.remarks)


def test_other_data_sets_are_left_alone() -> None:
    look_at_labels([1, 2, 3])
