"""Weights that fit a config which means something else by them."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from in_process import load_tool
from mmengine.config import Config
from tiny import tiny_model_config

from mtpsl.apis.load_model import load_model
from mtpsl.engine.checkpoints.resume import (
    RUN_KEY,
    check_meaning,
    check_same_config,
    fingerprint,
    other_reading,
    other_settings,
)
from mtpsl.engine.config.model_index import find_weights
from mtpsl.registry import MODELS, TASKS
from mtpsl.tasks.depth import Depth

CLASSES = [f'class {number}' for number in range(21)]


def config(**changed: object) -> Config:
    tasks = dict(tiny_model_config()['tasks'], depth=dict(type='Depth'),
                 semseg=dict(type='Semseg', class_names=CLASSES))
    cfg = Config(dict(model=tiny_model_config() | dict(tasks=tasks)))
    cfg.merge_from_dict(changed)
    return cfg


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    path = tmp_path / 'epoch_1.pth'
    meta = {RUN_KEY: json.dumps(fingerprint(config(), 1)), 'epoch': 1, 'iter': 1}
    torch.save(dict(state_dict=MODELS.build(config().model).state_dict(), meta=meta), path)
    return str(path)


@pytest.mark.parametrize('changed, told', [
    ({'model.diffusion.residual': True}, 'diffusion.residual None -> True'),
    ({'model.diffusion.num_heads': 2}, 'diffusion.num_heads None -> 2'),
    ({'model.diffusion.schedule.noise_scale': 0.5}, 'noise_scale None -> 0.5'),
    ({'model.data_preprocessor.size': (32, 32)}, 'size.0 64 -> 32'),
    ({'model.initial_loss_weight': 3.0, 'model.tasks.semseg.loss_weight': 2.0,
      'model.outputs': ('pred',), 'model.test_seed': 4}, ''),
    ({'model.backbone.frozen_stages': 1, 'model.backbone.norm_eval': True}, '')])
def test_what_changes_the_meaning_of_weights_is_told(changed, told, checkpoint):
    said = other_settings(checkpoint, config(**changed))
    assert told in said and bool(said) == bool(told)
    assert not said or said.startswith(f'{checkpoint} was trained with other settings')


@pytest.mark.parametrize('changed, words', [
    ({'model.tasks.depth.type': 'InverseDepth'}, r'tasks\.depth\.type=Depth, the config has Inv'),
    ({'model.tasks.semseg.class_names': [CLASSES[1], CLASSES[0], *CLASSES[2:]]},
     r"semseg\.class_names in another order: class 0 of its weights is 'class 0', in the config "
     "'class 1'")])
def test_weights_that_mean_something_else_are_refused(changed, words, checkpoint):
    with pytest.raises(ValueError, match=words):
        load_model(config(**changed), checkpoint, 'cpu')
    assert other_settings(checkpoint, config(**changed))  # a training may start from them


@pytest.mark.parametrize('changed, told', [
    ({'model.tasks.semseg.class_names': ['sky', *CLASSES[1:]]}, ''),  # a renaming
    ({'model.tasks.depth.type': 'ExtraDepth'}, ''),
    ({'model.tasks.depth.png_unit': 0.01}, 'depth.png_unit None -> 0.01'),
    ({'model.tasks.saliency.values': (1, 0)}, 'saliency.values None -> [1, 0]')])
def test_what_may_be_right_is_not_refused(changed, told, checkpoint):
    if 'ExtraDepth' not in TASKS:
        kind = type('ExtraDepth', (Depth,), dict(__module__='x'))
        TASKS.register_module('ExtraDepth', module=kind)
    check_meaning(checkpoint, config(**changed))
    assert told in other_reading(checkpoint, config(**changed))
    assert bool(told) == bool(other_reading(checkpoint, config(**changed)))


def test_the_inferencer_warns_and_published_weights_tell_too(checkpoint, tmp_path):
    small = str(tmp_path / 'small.safetensors')
    load_tool('model_converters/publish.py').main([checkpoint, small])
    for weights in (checkpoint, small):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            load_model(config(), weights, 'cpu')
        with pytest.warns(UserWarning, match=r'diffusion\.residual None -> True'):
            load_model(config(**{'model.diffusion.residual': True}), weights, 'cpu')


def test_the_model_that_ships_knows_what_it_was_trained_with():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        load_model('synthetic', device='cpu')
    with pytest.warns(UserWarning, match=r'diffusion\.residual True -> False'):
        load_model('synthetic', find_weights('synthetic'), 'cpu',
                   {'model.diffusion.residual': False})


@pytest.mark.parametrize('changed, told', [
    ({'model.tasks.semseg.class_names': [*CLASSES, 'sky']}, False),  # its head begins anew
    ({'model.tasks.semseg.class_names': ['sky', *CLASSES[1:]]}, True),
    ({'model.tasks.range': dict(type='Depth')}, False), ({'model.tasks.depth': None}, False),
    ({'model.tasks.depth.type': 'InverseDepth'}, True)])
def test_of_weights_that_are_taken_where_they_fit_only_those_count(changed, told, checkpoint):
    assert bool(other_settings(checkpoint, config(**changed), partly=True)) == told
    assert other_settings(checkpoint, config(**changed))


def test_weights_without_a_run_say_nothing(tmp_path):
    torch.save(MODELS.build(config().model).state_dict(), tmp_path / 'plain.pth')
    assert other_settings(str(tmp_path / 'plain.pth'), config()) == ''


def test_pairs_of_classes_have_no_order(checkpoint: str, tmp_path: Path) -> None:
    one, other = (config(**{'model.tasks.semseg.mirrored': pairs}) for pairs in (
        (('class 1', 'class 2'), ('class 3', 'class 4')),
        [['class 4', 'class 3'], ['class 1', 'class 2']]))
    state = torch.load(checkpoint, weights_only=True)
    run = fingerprint(one, 1)
    run['model']['tasks']['semseg']['mirrored'] = [['class 2', 'class 1'], ['class 3', 'class 4']]
    state['meta'][RUN_KEY] = json.dumps(run)  # as earlier checkpoints have it
    torch.save(state, tmp_path / 'earlier.pth')
    for cfg in (one, other):
        assert not other_settings(str(tmp_path / 'earlier.pth'), cfg)
        check_same_config('x.pth', run, fingerprint(cfg, 1))
    assert other_settings(str(tmp_path / 'earlier.pth'), config(
        **{'model.tasks.semseg.mirrored': ()}))


def test_channels_of_the_stages_said_or_not_are_one_run(checkpoint: str) -> None:
    said, asked = config(), config()
    said.model.neck.in_stride = 4
    del asked.model.neck['in_channels']
    assert fingerprint(said, 1) == fingerprint(asked, 1)
    assert not other_settings(checkpoint, asked)
    asked.model.neck.stride = 4
    assert fingerprint(said, 1) != fingerprint(asked, 1)
    assert 'neck.stride' in other_settings(checkpoint, asked)
