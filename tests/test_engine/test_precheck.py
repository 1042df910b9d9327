"""What the pipelines and the data of a config say of each other, by every way in."""

from pathlib import Path

import pytest
from in_process import load_tool, running_here
from test_faults.tiny_run import write_config, write_images

from mtpsl.apis import MultiTaskInferencer
from mtpsl.engine import load_config
from mtpsl.engine.check_data import run_config_check
from mtpsl.engine.config.precheck import other_colours, other_zoom, training_set_tested

GREY = dict(type='mmseg.RGB2Gray', out_channels=3)
CLAHE = dict(type='mmseg.CLAHE')


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_images(tmp_path_factory.mktemp('data') / 'data')
    return write_config(root.parent / 'config.py', root)


def add(steps: list[dict], *more: dict) -> list[dict]:
    return [*steps[:2], *more, *steps[2:]]


@pytest.mark.parametrize('train, test, told', [
    ([], [], ''), ([CLAHE], [CLAHE], ''), ([dict(type='PhotoMetricDistortion')], [], ''),
    ([GREY], [], 'changed by RGB2Gray in train_dataloader, and by no transform in test_dataloader'),
    ([], [CLAHE], 'changed by no transform in train_dataloader, and by CLAHE in test_dataloader'),
    ([GREY, CLAHE], [CLAHE, GREY], 'by RGB2Gray, CLAHE in train_dataloader, and by CLAHE, RGB')])
def test_fixed_colours_belong_into_both(train, test, told, config):
    cfg = load_config(str(config))
    for split, more in (('train', train), ('test', test)):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.pipeline = add(dataset.pipeline, *more)
    found = other_colours(cfg, 'test')
    assert told in found and bool(found) == bool(told)
    # Some of the training images are as those of the test.
    plain = dict(cfg.test_dataloader.dataset)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[
        cfg.train_dataloader.dataset, plain])
    assert not other_colours(cfg, 'test')
    cfg.train_dataloader = None
    assert not other_colours(cfg, 'test')


@pytest.mark.parametrize('train, test, told', [
    ([(0.5, 2.0)], [], False), ([(0.5, 0.5)], [], True), ([(0.5, 1.0)], [], False),
    ([(0.5, 0.5)], [(0.5, 0.5)], False), ([(1.5, 2.0), (0.5, 0.6)], [], False),
    ([], [(2.0, 2.0)], True)])
def test_a_zoom_of_all_training_images(train, test, told, config):
    cfg = load_config(str(config))
    for split, ranges in (('train', train), ('test', test)):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.pipeline = add(dataset.pipeline, *(dict(type='RandomScale', scale_range=one)
                                                   for one in ranges))
    assert bool(other_zoom(cfg, 'test')) == told
    cfg.train_dataloader = None
    assert not other_zoom(cfg, 'test')


def test_every_way_in_tells(config, tmp_path, capsys, warned):
    grey = ['test_dataloader.dataset.pipeline.0.color_type=grayscale']
    with running_here():
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path)])
        load_tool('test.py').main([str(config), str(tmp_path / 'epoch_1.pth'), '--work-dir',
                                   str(tmp_path / 'test'), '--cfg-options', *grey])
    logs = [next(folder.glob('*/*.log')).read_text() for folder in (tmp_path, tmp_path / 'test')]
    assert ['colours of every image are' in log for log in logs] == [False, True]
    with pytest.raises(SystemExit):
        run_config_check('check_dataset.py', str(config), dict([grey[0].split('=')]), 2)
    assert '| test  | colours ' in capsys.readouterr().out
    MultiTaskInferencer(str(config), str(tmp_path / 'epoch_1.pth'), 'cpu',
                        cfg_options=dict([grey[0].split('=')]))
    assert any('colours of every image are' in text for text in warned)


def test_a_test_on_the_training_set_is_told(config):
    cfg = load_config(str(config))
    assert training_set_tested(cfg) == ''
    cfg.test_dataloader.dataset.split = 'train'
    assert 'train_dataloader (' in training_set_tested(cfg) and "split 'train')" in (
        training_set_tested(cfg))
    cfg.train_dataloader = None
    assert training_set_tested(cfg) == ''
