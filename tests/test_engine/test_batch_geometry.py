"""Users' code that makes batches and moves images away from their labels."""

import numpy as np
import pytest
import torch
from in_process import load_tool, running_here
from test_faults.tiny_run import write_config, write_images

from mtpsl.datasets import stack_alike
from mtpsl.engine.batch_geometry import batch_fault
from mtpsl.models import MultiTaskDataPreprocessor
from mtpsl.registry import FUNCTIONS, MODELS
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), depth=dict(type='Depth')))


class Own(MultiTaskDataPreprocessor):
    """Changes a batch by a function of its images and samples."""

    def __init__(self, change, **options):
        super().__init__(TASKS, **options)
        self.change = change

    def forward(self, data, training=False):
        made = super().forward(data, training)
        return made | dict(inputs=self.change(made['inputs'], made['data_samples']))


def mirrored(images, samples):
    return images.flip(-1)


def mirrored_by_chance(images, samples):
    return images.flip(-1) if np.random.random() < 0.5 else images


def shifted(images, samples):
    return images.roll(7, -2)


def mirrored_with_labels(images, samples):
    for sample in samples:
        for name, label in list(sample.gt.items()):
            setattr(sample.gt, name, label.flip(-1))
    return images.flip(-1)


def blended(images, samples):
    return 0.6 * images + 0.4 * images.flip(0)


def erased(images, samples):
    images = images.clone()
    images[..., 20:60, 30:90] = 0
    return images


def noisy(images, samples):
    return images + 0.3 * torch.randn_like(images)


def failing(images, samples):
    raise KeyError('view')


@pytest.mark.parametrize('size', [(64, 64), (128, 192), (256, 256)])
@pytest.mark.parametrize('change, moves', [
    (mirrored, True), (mirrored_by_chance, True), (shifted, True), (mirrored_with_labels, False),
    (blended, False), (erased, False), (noisy, False), (failing, False),
    (lambda images, samples: images, False)])
def test_images_of_a_batch_that_move_without_labels(change, moves, size):
    fault = batch_fault(stack_alike, Own(change, size=size), TASKS)
    assert bool(fault) == moves == ('misaligns image and labels (depth, semseg)' in fault)
    usual = MultiTaskDataPreprocessor(TASKS, size=size)

    def collate(packed):
        data = stack_alike(packed)
        return data | dict(inputs=change(data['inputs'], data['data_samples']))

    assert bool(batch_fault(collate, usual, TASKS)) == moves


@MODELS.register_module()
class TurningPreprocessor(MultiTaskDataPreprocessor):
    """A user's, which turns images by half."""

    def forward(self, data, training=False):
        made = super().forward(data, training)
        return made | dict(inputs=made['inputs'].rot90(2, (-2, -1)))


@FUNCTIONS.register_module()
def turning_collate(packed):
    data = stack_alike(packed)
    return data | dict(inputs=data['inputs'].rot90(2, (-2, -1)))


@pytest.mark.parametrize('option, named', [
    ('model.data_preprocessor.type=TurningPreprocessor', 'data_preprocessor tests.'),
    ('train_dataloader.collate_fn.type=mtpsl.turning_collate', 'collate_fn tests.')])
def test_such_a_training_does_not_start(option, named, tmp_path, capsys):
    config = write_config(tmp_path / 'config.py', write_images(tmp_path / 'data'))
    with running_here(), pytest.raises(SystemExit):
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path / 'run'),
                                    '--cfg-options', option])
    last = capsys.readouterr().err.splitlines()[-1]
    assert f'the {named}' in last and 'misaligns image and labels (' in last
