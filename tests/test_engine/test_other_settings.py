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
from mtpsl.engine.checkpoints.resume import RUN_KEY, fingerprint, other_settings
from mtpsl.engine.config.model_index import find_weights
from mtpsl.registry import MODELS


def config(**changed: object) -> Config:
    cfg = Config(dict(model=tiny_model_config()))
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
      'model.outputs': ('pred',), 'model.test_seed': 4}, '')])
def test_what_changes_the_meaning_of_weights_is_told(changed, told, checkpoint):
    said = other_settings(checkpoint, config(**changed))
    assert told in said and bool(said) == bool(told)
    assert not said or said.startswith(f'{checkpoint} was trained with other settings')


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


def test_weights_without_a_run_say_nothing(tmp_path):
    torch.save(MODELS.build(config().model).state_dict(), tmp_path / 'plain.pth')
    assert other_settings(str(tmp_path / 'plain.pth'), config()) == ''
