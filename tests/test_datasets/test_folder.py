"""Labels inferred from the files that are there."""

import json
import logging
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mtpsl.datasets.folder import list_images

from .conftest import TEST
from .own_data import (
    COLUMNS,
    FILES,
    IDS,
    ROWS,
    SIZE,
    TASKS,
    folder_dataset,
    labelled,
    write_own_data,
)


@pytest.fixture
def root(tmp_path):
    """Four images; 1 has three labels, 2 has two, 10 has three and x.y has none."""
    return write_own_data(tmp_path)


def test_labels_are_those_whose_files_are_there_and_ids_are_sorted_by_number(root):
    dataset = folder_dataset(root)
    assert list(labelled(dataset).items()) == [
        ('1', ['classes', 'mask', 'depth']), ('2', ['mask', 'normal']),
        ('10', ['classes', 'normal', 'depth']), ('x.y', [])]
    assert dataset.metainfo['tasks'] == tuple(TASKS)
    for k, image_id in enumerate(IDS):
        results = dataset[k]
        assert results['img'].shape == (*SIZE, 3) and results['img_id'] == image_id
        np.testing.assert_allclose(results['img'][10, 20], (90, 100, 90), atol=6)


def test_each_kind_of_file_is_read_as_its_task_says(root):
    first, second, tenth, _ = (folder_dataset(root)[k]['gt'] for k in range(4))
    np.testing.assert_array_equal(first['classes'], ROWS % 3)
    np.testing.assert_array_equal(tenth['classes'], np.where(COLUMNS == 0, 255, COLUMNS % 3))
    np.testing.assert_array_equal(first['mask'], COLUMNS < 9)
    np.testing.assert_array_equal(second['mask'], np.where(ROWS == 0, 255, COLUMNS < 4))
    np.testing.assert_allclose(second['normal'][5, 5], (0, 0.6, 0.8))
    expected = np.array([51, 128, 230]) / 127.5 - 1
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(tenth['normal'][1:], np.tile(expected, (19, 30, 1)), atol=1e-6)
    assert not tenth['normal'][0].any()
    np.testing.assert_allclose(first['depth'], 1.5 * (ROWS > 0))
    np.testing.assert_allclose(tenth['depth'], COLUMNS / 10, rtol=1e-6)
    assert [tenth[name].dtype for name in tenth] == [np.uint8, np.float32, np.float32]
    tasks = TASKS | dict(depth=dict(type='Depth', png_unit=0.01))
    np.testing.assert_allclose(folder_dataset(root, tasks)[0]['gt']['depth'], 15 * (ROWS > 0))


def test_folders_can_lie_in_the_root_itself(root):
    dataset = folder_dataset(root / 'train', split='', pipeline=TEST)
    assert list(labelled(dataset)) == list(IDS)
    assert set(dataset[0]['data_samples'].gt.keys()) == {'classes', 'mask', 'depth'}
    (root / 'train/images/1.JPG').write_bytes(b'')
    with pytest.raises(RuntimeError, match='^FolderDataset, image 1: .*is empty'):
        dataset[0]


def test_an_id_list_chooses_and_orders(root, tmp_path):
    (root / 'ids.txt').write_text('10\n1\n')
    assert list(labelled(folder_dataset(root, ids='ids.txt'))) == ['10', '1']
    (tmp_path / 'other.txt').write_text('2\n10\n')
    elsewhere = folder_dataset(root, ids=str(tmp_path / 'other.txt'), max_images=1)
    assert labelled(elsewhere) == {'2': ['mask', 'normal']}


def test_the_dataset_goes_to_worker_processes(root):
    again = pickle.loads(pickle.dumps(folder_dataset(root)))
    np.testing.assert_array_equal(again[0]['gt']['mask'], COLUMNS < 9)


def test_only_what_belongs_to_the_ids_is_looked_at(root):
    (root / 'ids.txt').write_text('1\n10\n')
    for name in ('2.jpg', '2.png', 'notes.txt', '.1.jpg'):
        (root / 'train/mask' / name).write_bytes(b'')
    assert list(labelled(folder_dataset(root, ids='ids.txt'))) == ['1', '10']


def test_optional_tasks_may_have_no_label(root):
    for name in FILES:
        if name.startswith(('mask', 'depth')):
            (root / 'train' / name).unlink()
    (root / 'train/mask').rmdir()
    dataset = folder_dataset(root, optional=['depth', 'mask'])
    assert labelled(dataset) == {'1': ['classes'], '2': ['normal'], '10': ['classes', 'normal'],
                                 'x.y': []}
    for name in FILES:
        (root / 'train' / name).unlink(missing_ok=True)
    with pytest.raises(ValueError, match='no image of .*/images has a label of any task '
                       r'\(classes, mask, normal, depth\)'):
        folder_dataset(root, optional=tuple(TASKS))


def test_a_mapping_decides_which_labels_are_used(root):
    mapping = {'1': ['depth'], '2': [], '10': ['normal', 'classes'], 'x.y': []}
    (root / 'm.json').write_text(json.dumps(mapping))
    dataset = folder_dataset(root, label_mapping='m.json')
    assert labelled(dataset) == mapping | {'10': ['classes', 'normal']}
    # A task that is left out of the experiment, but has a folder of its name.
    tasks = {name: task for name, task in TASKS.items() if name != 'depth'}
    assert labelled(folder_dataset(root, tasks, label_mapping='m.json'))['1'] == []


def test_labels_of_a_mapping_must_exist_and_its_images_be_those_of_the_split(root):
    (root / 'm.json').write_text(json.dumps({'1': ['depth', 'normal'], '2': ['depth'], '10': [],
                                             'x.y': []}))
    with pytest.raises(FileNotFoundError, match=r'^2 files that the train split needs are missing '
                       r'in .*: .*normals/1\.png or \.npy \(normal label\); .*depth/2\.png'):
        folder_dataset(root, label_mapping='m.json')
    with pytest.raises(FileNotFoundError, match='^1 files that are needed are missing'):
        folder_dataset(root / 'train', split='', label_mapping='../m.json', max_images=1)
    for mapping, message in (({'1': ['depth']}, '3 image ids of the split are missing'),
                             ({'1': ['depht']}, "image 1 names the unknown task 'depht'"),
                             (dict.fromkeys(IDS, []), 'no image of .*images has a label of any')):
        (root / 'm.json').write_text(json.dumps(mapping))
        with pytest.raises(ValueError, match=message):
            folder_dataset(root, label_mapping='m.json')


def test_what_is_labelled_is_logged_once(root):
    records = []
    handler, logger = logging.Handler(), MMLogger.get_current_instance()
    handler.emit = records.append
    logger.addHandler(handler)
    try:
        dataset = folder_dataset(root)
    finally:
        logger.removeHandler(handler)
    (record,) = [record for record in records if 'FolderDataset' in record.getMessage()]
    assert record.levelno == logging.INFO and record.getMessage() == dataset.describe()
    assert dataset.describe() == (
        f'FolderDataset train ({root}/train): 4 images. Labelled for classes 2, mask 2, normal 2, '
        'depth 2. Images with 0 labels: 1, 2 labels: 1, 3 labels: 2')
    assert folder_dataset(root, max_images=2).describe().endswith(
        '2 images. Labelled for classes 1, mask 2, normal 1, depth 1. Images with 2 labels: 1, '
        '3 labels: 1')


LISTED = []
LISTENING = [False]


def listen(event, arguments):
    if LISTENING[0] and event in ('os.listdir', 'os.scandir', 'open'):
        LISTED.append(str(arguments[0]))


sys.addaudithook(listen)


def test_each_folder_is_listed_once_and_no_file_looked_at(root, monkeypatch):
    asked, stat = [], os.stat
    monkeypatch.setattr(os, 'stat', lambda path, **kw: asked.append(path) or stat(path, **kw))
    LISTED.clear()
    LISTENING[0] = True
    try:
        folder_dataset(root)
    finally:
        LISTENING[0] = False
    folders = [f'{root}/train/{name}' for name in ('classes', 'depth', 'images', 'mask', 'normals')]
    assert sorted(path for path in LISTED if str(root) in path) == folders
    assert {str(path) for path in asked if str(root) in str(path)} <= {
        *folders, f'{root}/train/.mtpsl_predictions'}


def test_natural_order(tmp_path):
    names = ['3', '007', '7', '10', 'a1', 'a1b2', 'a1b10', 'a2', 'a10', 'b1']
    for name in sorted(names):
        (tmp_path / f'{name}.png').touch()
    assert list(list_images(str(tmp_path))) == names


def test_labels_that_are_predictions_are_told(root, warned):
    base = Path(folder_dataset(root).base)
    assert not any('predictions' in line for line in warned)
    (mask,) = (base / folder_dataset(root).label_folders['mask']).glob('1.*')
    (base / '.mtpsl_predictions').write_text(
        f'{mask.relative_to(base)}\nmask/gone.png\nelsewhere/2.png\n')
    folder_dataset(root)
    told = [line for line in warned if 'predictions' in line]
    assert len(told) == 1 and f'1 label files of mask, such as {mask}, are' in told[0]
