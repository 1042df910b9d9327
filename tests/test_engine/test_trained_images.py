"""Weights whose training read its images otherwise than the config that they go on with."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from in_process import load_tool, running_here
from mmengine.config import Config
from test_faults.tiny_run import write_config, write_images

from mtpsl.apis.load_model import load_model
from mtpsl.engine import load_config
from mtpsl.engine.checkpoints.content import CODE_KEY, FILES_KEY
from mtpsl.engine.checkpoints.data_files import code_of, files_of
from mtpsl.engine.checkpoints.resume import RUN_KEY, check_teacher, fingerprint
from mtpsl.engine.checkpoints.trained_images import learned_from, other_images, pipelines_only
from mtpsl.engine.checks.checkpoint_doubts import code_doubt
from mtpsl.registry import DATASETS

GREY = dict(type='LoadImageFromFile', color_type='grayscale')
HALF = dict(type='RandomScale', scale_range=(0.5, 0.5))


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_images(tmp_path_factory.mktemp('data') / 'data')
    return write_config(root.parent / 'config.py', root)


def changed(config: Path, change: str, joint: bool = False):
    cfg = load_config(str(config))
    for split in ('train', 'test'):
        part = cfg[f'{split}_dataloader'].dataset
        head, *tail = part.pipeline
        part.pipeline = dict(plain=[head, *tail], grey=[GREY, *tail],
                             small=[head, tail[0], HALF, *tail[1:]], flip=[
                                 head, tail[0], *tail[2:]])[change]
        if joint:
            cfg[f'{split}_dataloader'].dataset = dict(type='JointDataset', datasets=dict(a=part))
    return cfg


def saved(path: Path, run: dict) -> str:
    torch.save(dict(state_dict={}, meta={RUN_KEY: json.dumps(run)}), path)
    return str(path)


@pytest.mark.parametrize('joint', [False, True])
@pytest.mark.parametrize('before, now, told', [
    ('grey', 'plain', "color_type='grayscale' in train_dataloader, and by no transform in the "
                      "config's {}_dataloader"),
    ('plain', 'grey', 'no transform in train_dataloader'), ('small', 'plain', 'by 0.5 to 0.5'),
    ('plain', 'small', 'by 1 to 1'), ('grey', 'grey', ''), ('plain', 'flip', '')])
def test_images_of_another_look(before, now, told, joint, config, tmp_path):
    run = fingerprint(changed(config, before, joint), 1)
    small = run | dict(train_dataloader=pipelines_only(run['train_dataloader']))
    for number, content in enumerate((run, small)):
        path = saved(tmp_path / f'{number}.pth', content)
        for split in ('train', 'test'):
            found = other_images(path, changed(config, now, joint), split)
            assert told.format(split) in found and bool(found) == bool(told)
            assert not found or found.startswith(f'{path} was trained on images')
    check_teacher(path, changed(config, now))  # it is told, not refused


def test_what_is_not_known_is_not_told(config, tmp_path):
    run = fingerprint(changed(config, 'grey'), 1)
    run['train_dataloader']['dataset']['pipeline'][0]['type'] = 'mine.Loader'
    for content in (run, run | dict(train_dataloader=None), dict(model=run['model'])):
        checkpoint = saved(tmp_path / 'x.pth', content)
        assert not other_images(checkpoint, load_config(str(config)), 'test')


def test_every_way_in_tells(config, tmp_path):
    """A test, a training that starts from them, the inferencer's reader, and published weights."""
    plain, grey, small = str(config), tmp_path / 'grey', tmp_path / 'small.safetensors'
    both = [f'{split}_dataloader.dataset.pipeline.0.color_type=grayscale'
            for split in ('train', 'val', 'test')]
    weights = str(grey / 'epoch_1.pth')
    # Another fold: what was trained on is tested and validated on, the other way round.
    fold = [f'{split}_dataloader.dataset.split={other}' for split, other in (
        ('train', 'val'), ('val', 'train'), ('test', 'train'))]
    ways = dict(test=('test.py', [plain, weights], 1, 0),
                same=('test.py', [plain, weights, '--cfg-options', *both], 0, 0),
                fold=('test.py', [plain, weights, '--cfg-options', *both, *fold], 0, 1),
                load=('train.py', [plain, '--cfg-options', f'load_from={weights}'], 1, 0),
                load_fold=('train.py', [plain, '--cfg-options', f'load_from={weights}', *both,
                                        *fold], 0, 1),
                init=('train.py', [plain, '--cfg-options', 'model.init_cfg.type=Pretrained',
                                   f'model.init_cfg.checkpoint={small}'], 1, 0))
    with running_here():
        load_tool('train.py').main([plain, '--work-dir', str(grey), '--cfg-options', *both])
        load_tool('model_converters/publish.py').main([weights, str(small)])
        for name, (tool, words, times, learned) in ways.items():
            folder = tmp_path / name
            place = words.index('--cfg-options') if '--cfg-options' in words else len(words)
            load_tool(tool).main([*words[:place], '--work-dir', str(folder), *words[place:]])
            log = next(folder.glob('*/*.log')).read_text()
            assert log.count('was trained on images') == times, name
            words = 'has learned from images that are (tested|validated) on'
            assert len(re.findall(words, log)) == learned
    for file in (weights, str(small)):
        with pytest.warns(UserWarning, match='was trained on images .*grayscale'):
            load_model(plain, file, 'cpu')


@pytest.mark.parametrize('joint', [False, True])
def test_images_that_were_learned_from_are_found_in_joint_sets_too(joint, config, tmp_path):
    cfg = load_config(str(config))
    part = dict(cfg.train_dataloader.dataset, tasks=cfg.tasks)
    if joint:
        part = dict(type='JointDataset', tasks=cfg.tasks, datasets=dict(a=part))
    dataset = DATASETS.build(part)
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict={}, meta={FILES_KEY: json.dumps(files_of(dataset))}), path)
    found = learned_from(str(path), dataset)
    assert 'has learned from images that are tested on, such as ' in found
    assert 'validated on' in learned_from(str(path), dataset, 'validated')
    other = dict(cfg.val_dataloader.dataset, tasks=cfg.tasks)
    assert learned_from(str(path), DATASETS.build(other)) == ''


@pytest.mark.parametrize('changed, told', [
    ([], ''), (['mtpsl.tasks', 'mtpsl.models'], 'other code in mtpsl.models, mtpsl.tasks than is'),
    (['mtpsl.engine'], ''), (['gone'], '')])
def test_code_that_was_changed_between_training_and_test_is_told(changed, told, tmp_path):
    code = code_of({}) | dict.fromkeys(changed, 0)
    torch.save(dict(state_dict={}, meta={CODE_KEY: json.dumps(code)}), tmp_path / 'a.pth')
    said = code_doubt(str(tmp_path / 'a.pth'), Config())
    assert told in said and bool(said) == bool(told)
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'old.pth')
    assert code_doubt(str(tmp_path / 'old.pth'), Config()) == ''


def test_code_with_an_editor_s_lock_is_read(tmp_path, monkeypatch):
    (tmp_path / 'locked').mkdir()
    (tmp_path / 'locked/__init__.py').write_text('A = 1')
    (tmp_path / 'locked/.#part.py').symlink_to('somebody@somewhere')
    (tmp_path / 'locked/folder.py').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module('locked')
    code = code_of(dict(custom_imports=dict(imports=['locked'])))
    assert code.keys() - code_of({}).keys() == {'locked'}
