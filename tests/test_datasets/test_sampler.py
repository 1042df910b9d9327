"""A draw decides its sample, whoever loads it."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, DefaultSampler, RepeatDataset, pseudo_collate
from torch.utils.data import DataLoader

from mtpsl.datasets import PASCALContext, SeededIndex, SeededSampler
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.sampler import seeded
from mtpsl.registry import DATA_SAMPLERS, TRANSFORMS

from .conftest import TASKS
from .own_data import folder_dataset, write_own_data
from .test_pipelines import TRAIN


def noise(results):
    return results | dict(noise=np.random.rand())


noise.moves = 'nothing'


@pytest.fixture
def dataset(pascal):
    return PASCALContext(tasks=TASKS, data_root=str(pascal), split='train',
                         pipeline=[TRANSFORMS.build(step) for step in TRAIN])


def epoch_of(dataset, epoch, workers=0, batch_size=2):
    """{image id: (inputs, labels)} of one epoch."""
    sampler = SeededSampler(dataset, seed=5)
    sampler.set_epoch(epoch)
    loader = DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers,
                        collate_fn=pseudo_collate)
    return {sample.img_id: (image, dict(sample.gt.items())) for batch in loader
            for image, sample in zip(batch['inputs'], batch['data_samples'])}


def equal(first, second):
    return list(first) == list(second) and all(
        torch.equal(first[i][0], second[i][0])
        and all(torch.equal(first[i][1][t], second[i][1][t]) for t in TASKS) for i in first)


def test_samples_do_not_depend_on_workers_or_on_what_was_drawn_before(dataset):
    np.random.seed(0)
    alone = epoch_of(dataset, epoch=1)
    assert len(alone) == 3
    np.random.seed(77)
    assert equal(alone, epoch_of(dataset, epoch=1, batch_size=1))
    assert equal(alone, epoch_of(dataset, epoch=1, workers=2, batch_size=1))


def test_set_epoch_renews_every_sample(dataset):
    first, second = epoch_of(dataset, 0), epoch_of(dataset, 1)
    assert all(not torch.equal(first[i][0], second[i][0]) for i in first)


def test_order_and_length_are_the_default_samplers():
    for epoch in (0, 3):
        ours, theirs = SeededSampler(range(50), seed=9), DefaultSampler(range(50), seed=9)
        ours.set_epoch(epoch)
        theirs.set_epoch(epoch)
        assert list(ours) == list(theirs) and len(ours) == 50
        assert {(d.seed, d.epoch) for d in ours} == {(9, epoch)}


def test_sampler_is_registered():
    sampler = DATA_SAMPLERS.build(dict(type='SeededSampler', shuffle=False),
                                  default_args=dict(dataset=range(3), seed=1))
    assert list(sampler) == [SeededIndex(1, 0, 0), SeededIndex(1, 0, 1), SeededIndex(1, 0, 2)]


def test_each_part_of_a_draw_counts():
    def drawn(*numbers):
        with seeded(SeededIndex(*numbers)):
            return np.random.rand(), random.random(), torch.rand(()).item()

    values = [drawn(*d) for d in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]]
    assert values[0] == values[-1]
    assert [len(set(drawn)) for drawn in zip(*values)] == [4, 4, 4]


def test_random_states_are_put_back_also_after_an_error(dataset):
    def drawn():
        return np.random.rand(), random.random(), torch.rand(()).item()

    def seed():
        np.random.seed(3)
        random.seed(3)
        torch.manual_seed(3)

    seed()
    expected = drawn()
    seed()
    dataset[SeededIndex(0, 0, 1)]
    with pytest.raises(ZeroDivisionError), seeded(SeededIndex(0, 0, 0)):
        np.random.rand(1 // 0)
    assert drawn() == expected


def test_a_plain_index_leaves_the_random_states_alone(dataset):
    np.random.seed(3)
    first = dataset[0]['inputs']
    second = dataset[0]['inputs']
    np.random.seed(3)
    assert torch.equal(first, dataset[0]['inputs']) and not torch.equal(first, second)


def test_wrappers_count_with_an_index_and_keep_its_draw(tmp_path):
    """A part of a whole gets its own image, the whole's place decides the augmentation."""
    root = write_own_data(tmp_path)
    part = folder_dataset(root, pipeline=[dict(type='mtpsl.LoadImageFromFile'), noise])
    for whole in (ConcatDataset([part, part]), RepeatDataset(part, 2)):
        sampler = SeededSampler(whole, shuffle=False, seed=5)
        places = [sample['img_id'] for sample in map(whole.__getitem__, sampler)]
        assert places == 2 * [part.get_data_info(i)['img_id'] for i in range(len(part))]
        drawn = [whole[index]['noise'] for index in sampler]
        assert len(set(drawn)) == len(whole) and drawn == [whole[i]['noise'] for i in sampler]
    index = pickle.loads(pickle.dumps(SeededIndex(1, 2, 9) - 4))
    assert (index, index.seed, index.epoch, index.place) == (5, 1, 2, 9)
    assert copy.deepcopy(index % 3).place == 9


def test_test_images_of_one_name_are_refused(tmp_path):
    sets = [folder_dataset(write_own_data(tmp_path / name), pipeline=[
        dict(type='mtpsl.LoadImageFromFile'), dict(type='mtpsl.LoadLabels'),
        dict(type='mtpsl.PackMultiTaskInputs')]) for name in 'ab']
    look_at_labels(ConcatDataset(sets))
    with pytest.raises(ValueError, match="are both called '.*': as test images"):
        look_at_labels(ConcatDataset(sets), training=False)
