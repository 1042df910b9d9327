"""What single-task models train on: crops, images and a config that leave the other tasks out."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mtpsl.data_prep.synthetic import write_scenes
from mtpsl.datasets import SeededSampler
from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.transforms import RandomCrop, RandomScaleCrop
from mtpsl.engine import load_config
from mtpsl.models import MultiTaskDataPreprocessor
from mtpsl.registry import DATASETS
from mtpsl.tasks import build_tasks

from .conftest import DOG, EMPTY, IDS, PERSON, READ, TASKS, TEST, reader, write_mapping
from .own_data import TASKS as OWN_TASKS
from .own_data import folder_dataset, labelled, write_own_data

ROOT = Path(__file__).parents[2]
PATCHY = {PERSON: ['semseg', 'parsing'], DOG: ['normal'], EMPTY: []}


def only(*names: str) -> dict:
    return {name: TASKS[name] for name in names}


# ------------------------------------------------------------------ crops


def test_a_crop_may_be_balanced_by_a_task_that_the_config_leaves_out(pascal):
    """Then any place will do: the rectangle's corner is drawn once and covers all places."""
    crop = RandomCrop((30, 50), balance_task='semseg', max_class_ratio=0.01)
    dataset = reader(pascal, [*READ, crop], tasks=only('normal'))
    np.random.seed(0)
    # The image's channels are 6 times the row and 4 times the column.
    corners = np.rint([dataset[0]['img'][0, 0, :2] / (6, 4) for _ in range(300)])
    assert all(set(places) == set(range(11)) for places in corners.T)
    assert dataset[0]['img'].shape == (30, 50, 3) and set(dataset[0]['gt']) == {'normal'}


def test_with_the_task_the_same_crop_asks_for_its_label(pascal, monkeypatch):
    """No place has less than 1 % of a class: 10 are drawn in vain, and one more is taken."""
    draws = []
    monkeypatch.setattr(np.random, 'randint', lambda high: draws.append(high) or 0)
    crop = RandomCrop((30, 50), balance_task='semseg', max_class_ratio=0.01)
    for tasks, count in ((TASKS, 11), (only('semseg'), 11), (only('normal', 'parsing'), 1)):
        reader(pascal, [*READ, crop], tasks=tasks)[0]
        assert len(draws) == 2 * count
        draws.clear()


@pytest.mark.parametrize('balance_task', ['semsge', 'depth'])
def test_the_data_set_must_know_the_task_that_is_left_out(balance_task, pascal):
    with pytest.raises(ValueError, match=r'RandomCrop: balance_task must be None or a task with a '
                       rf"class map \(none here\), got '{balance_task}'"):
        reader(pascal, [*READ, RandomCrop(balance_task=balance_task)], tasks=only('normal'))


def test_alone_a_crop_knows_the_tasks_of_the_sample_only():
    results = dict(img=np.zeros((8, 8, 3), np.uint8), gt={}, tasks=build_tasks(only('parsing')))
    with pytest.raises(ValueError, match=r"with a class map \(parsing\), got 'semseg'"):
        RandomCrop((4, 4)).transform(results)


# ------------------------------------------------------------------ images


@pytest.mark.parametrize('tasks, kept', [
    (('semseg',), [PERSON]), (('normal',), [DOG]), (('semseg', 'normal'), [PERSON, DOG])])
def test_images_without_a_label_of_the_tasks_are_left_out(tasks, kept, pascal):
    mapping = write_mapping(pascal, PATCHY)
    dataset = reader(pascal, tasks=only(*tasks), label_mapping=mapping, drop_unlabelled=True)
    assert [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))] == kept
    assert all(set(dataset[i]['gt']) == set(PATCHY[name]) & set(tasks)
               for i, name in enumerate(kept))
    everything = reader(pascal, tasks=only(*tasks), label_mapping=mapping)
    assert len(everything) == 3


def test_without_a_mapping_all_images_are_labelled(pascal):
    assert len(reader(pascal, tasks=only('parsing'), drop_unlabelled=True)) == 3


def test_a_split_without_such_an_image_is_an_error(pascal):
    mapping = write_mapping(pascal, PATCHY)
    with pytest.raises(ValueError, match='^PASCALContext train has no image with a label of '
                       'saliency, boundary, and drop_unlabelled leaves out the others'):
        reader(pascal, tasks=only('saliency', 'boundary'), label_mapping=mapping,
               drop_unlabelled=True)
    assert len(reader(pascal, tasks=only('saliency'), label_mapping=mapping)) == 3


def test_the_first_images_of_the_split_are_taken_before_any_is_left_out(pascal):
    def ids(**arguments: object) -> list[str]:
        dataset = reader(pascal, tasks=only('normal'), label_mapping=mapping,
                         drop_unlabelled=True, **arguments)
        return [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]

    mapping = write_mapping(pascal, PATCHY | {EMPTY: ['normal']})
    assert ids() == [DOG, EMPTY] and ids(max_images=2) == [DOG]
    with pytest.raises(ValueError, match='has no image with a label of normal'):
        ids(max_images=1)


def test_own_data_without_a_label_are_left_out(tmp_path):
    root = write_own_data(tmp_path)
    kept = labelled(dataset := folder_dataset(root, drop_unlabelled=True))
    assert ': 3 images (1 without a label left out). Lab' in dataset.describe()
    assert dataset.describe().endswith('Images with 2 labels: 1, 3 labels: 2')
    assert list(kept) == ['1', '2', '10'] and all(kept.values())  # x.y has no label
    depth = dict(depth=OWN_TASKS['depth'])
    assert labelled(folder_dataset(root, depth, folders={}, drop_unlabelled=True)) == {
        '1': ['depth'], '10': ['depth']}
    assert len(folder_dataset(root, depth, folders={})) == 4
    (root / 'own.json').write_text(json.dumps({'1': ['mask'], '2': [], '10': ['depth'],
                                               'x.y': []}))
    mapped = folder_dataset(root, depth, folders={}, label_mapping='own.json',
                            drop_unlabelled=True)
    assert labelled(mapped) == {'10': ['depth']} and set(mapped[0]['gt']) == {'depth'}
    with pytest.raises(ValueError, match='^FolderDataset train has no image with a label of depth'):
        folder_dataset(root, depth, folders={}, drop_unlabelled=True, label_mapping='own.json',
                       max_images=2)


# ------------------------------------------------------------------ what a zoomed cut shows


def coordinates(height: int, width: int) -> np.ndarray:
    rows, columns = np.indices((height, width))
    return (1 + 1000 * rows + columns).astype(np.float32)


@pytest.mark.parametrize('scale', [1.0, 1.2, 1.5])
def test_a_scale_crop_says_which_rectangle_it_shows(scale):
    np.random.seed(0)
    tasks = build_tasks(dict(depth=dict(type='Depth')))
    tops = set()
    for _ in range(40):
        results = dict(img=np.zeros((48, 60, 3), np.uint8), tasks=tasks,
                       gt=dict(depth=coordinates(48, 60)))
        after = RandomScaleCrop([scale]).transform(results)
        rows, columns = np.divmod(np.rint(after['gt']['depth'] * scale - 1).astype(int), 1000)
        assert after['zoom'] == (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1,
                                 scale)
        assert after['zoom'].scale == scale and after['zoom'].bottom == rows.max() + 1
        assert all(type(part) is int for part in after['zoom'][:4])
        tops.add(after['zoom'].top)
    assert tops <= set(range(48 - int(48 / scale) + 1)) and (len(tops) > 5) == (scale > 1)


# ------------------------------------------------------------------ a config


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Ten scenes, two labelled for each task in turn."""
    root = tmp_path_factory.mktemp('scenes') / 'PASCALContext'
    write_scenes(root, 'pascal', 10, 1, 64, 64, 0, 1)
    ids = (root / 'ImageSets/Context/train.txt').read_text().split()
    mapping = {image_id: [list(TASKS)[k % 5]] for k, image_id in enumerate(ids)}
    (root / 'label_mappings').mkdir()
    (root / 'label_mappings/onelabel.json').write_text(json.dumps(mapping))
    return root


def training_data(root, task: str) -> tuple[Config, PartialLabelDataset]:
    """A single-task config and its training set."""
    cfg = load_config(str(ROOT / f'configs/synthetic/single_task_onelabel_{task}.py'), {
        'train_dataloader.dataset.data_root': str(root)})
    assert list(cfg.tasks) == list(cfg.model.tasks) == [task]
    with DefaultScope.overwrite_default_scope('mtpsl'):
        return cfg, DATASETS.build(cfg.train_dataloader.dataset)


def test_a_single_task_config_trains_on_the_images_labelled_for_it(scenes):
    cfg, dataset = training_data(scenes, 'parsing')
    ids = (scenes / 'ImageSets/Context/train.txt').read_text().split()
    loader = DataLoader(dataset, 2, sampler=SeededSampler(dataset, seed=0),
                        collate_fn=pseudo_collate)
    batch, = loader
    assert sorted(one.img_id for one in batch['data_samples']) == sorted([ids[1], ids[6]])
    data = MultiTaskDataPreprocessor(cfg.tasks, **cfg.data_preprocessor)(batch, training=True)
    assert data['inputs'].shape == (2, 3, 96, 96)
    for one in data['data_samples']:
        assert set(one.gt.keys()) == {'parsing'} and one.gt.parsing.shape == (1, 96, 96)
        assert set(one.gt.parsing.unique().tolist()) <= {*range(7), 255}


def test_files_of_the_other_tasks_are_not_needed(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / 'data')
    ids = (scenes / 'ImageSets/Context/train.txt').read_text().split()
    for folder, _, files in os.walk(tmp_path / 'data'):
        for name in files:
            if name.split('.')[0] in ids and 'human_parts' not in folder and (
                    'JPEGImages' not in folder):
                os.unlink(os.path.join(folder, name))
    _, dataset = training_data(tmp_path / 'data', 'parsing')
    assert len(dataset) == 2 and set(dataset[1]['data_samples'].gt.keys()) == {'parsing'}


def test_the_test_images_of_a_single_task_are_all_there(pascal):
    dataset = reader(pascal, TEST, split='val', tasks=only('parsing'))
    assert [dataset[i]['data_samples'].img_id for i in range(3)] == list(IDS)
