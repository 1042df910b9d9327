"""Weights that are not finite are neither saved nor loaded nor scored without an error."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import load_tool, running_here
from mmengine.runner.checkpoint import CheckpointLoader
from test_faults.poison import train
from test_faults.tiny_run import write_config, write_images

from mtpsl.apis import MultiTaskInferencer
from mtpsl.engine.checkpoints.content import check_finite, load_url, not_finite
from mtpsl.engine.checkpoints.latest import latest_checkpoint

ADAM = "type='Adam', fused=True"


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp('images'))


def last_error(capsys: pytest.CaptureFixture, tool: str, *arguments: object) -> str:
    with running_here(), pytest.raises(SystemExit) as end:
        load_tool(tool).main([str(argument) for argument in arguments])
    assert end.value.code == 1
    return capsys.readouterr().err.splitlines()[-1]


def spoil(path: Path, value: float = float('nan'), key: str = '') -> None:
    """Put such a number into all weights of a checkpoint, or one of one."""
    content = torch.load(path, weights_only=False)
    for name, weight in content['state_dict'].items():
        if weight.is_floating_point() and (not key or name == key):
            weight[(0,) * weight.ndim if key else ...] = value
    torch.save(content, path)


def test_masks_of_attention_are_no_failure():
    weights = dict(good=torch.ones(2), mask=torch.tensor([0, float('-inf')]),
                   count=torch.ones(2).long(), bad=torch.tensor([1, float('inf')]),
                   worse=torch.tensor([float('nan')]))
    assert not_finite(weights) == ['bad', 'worse']


@pytest.mark.parametrize('options, error', [
    (dict(lr='float("inf")'), 'optim_wrapper.optimizer.lr must be'),
    (dict(lr=1e-3, weight_decay='float("inf")'), 'optim_wrapper.optimizer.weight_decay must be'),
    (dict(lr=3e38, weight_decay=1e9), 'the weights are not finite, ')])
def test_an_update_that_makes_such_weights_is_an_error(options, error, images, tmp_path, capsys):
    """The losses and gradients of the only step are finite. Nothing is saved."""
    given = ', '.join(f'{key}={value}' for key, value in options.items())
    config = write_config(tmp_path / 'config.py', images,
                          f'optim_wrapper = dict(optimizer=dict(_delete_=True, {ADAM}, {given}))',
                          'train_dataloader.update(batch_size=6)')
    line = last_error(capsys, 'train.py', config, '--work-dir', tmp_path / 'run')
    assert error in line
    assert not list(tmp_path.glob('run/*.pth'))
    if 'weights' in error:
        assert 'lower the learning rate or the weight decay' in line and '[NonFiniteError' in line


def test_steps_that_fail_since_the_weights_did_say_so(images, tmp_path, capsys):
    """Not that the weights are as they were."""
    config = write_config(tmp_path / 'config.py', images,
                          f'optim_wrapper = dict(optimizer=dict(_delete_=True, {ADAM}, lr=3e38, '
                          'weight_decay=1e9))', 'train_dataloader.update(batch_size=1)',
                          'data_preprocessor.update(size=(64, 64))',
                          'default_hooks = dict(non_finite=dict(patience=3))')
    line = last_error(capsys, 'train.py', config, '--work-dir', tmp_path / 'run')
    assert 'The weights themselves are not finite since an earlier update, ' in line
    assert 'as they were before' not in line


@pytest.fixture
def run(images: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A config and the work dir of two epochs."""
    config = write_config(tmp_path / 'config.py', images, 'train_cfg = dict(max_epochs=3)')
    train(str(config), str(tmp_path / 'run'), '--cfg-options', 'train_cfg.max_epochs=2')
    return config, tmp_path / 'run'


@pytest.mark.parametrize('value', [float('nan'), float('-inf')])
def test_such_weights_are_not_loaded(value, run, tmp_path, capsys):
    config, folder = run
    path = folder / 'epoch_2.pth'
    spoil(path, value, 'neck.conv.weight')
    words = f'{path} holds weights that are not finite, 1 of them: neck.conv.weight: the training'
    assert words in last_error(capsys, 'test.py', config, path, '--work-dir', tmp_path / 'test')
    assert not (tmp_path / 'test/metrics.json').exists()
    for start in (f'load_from={path}', f'model.init_cfg.checkpoint={path}'):
        assert words in last_error(
            capsys, 'train.py', config, '--work-dir', tmp_path / 'new', '--cfg-options', start,
            *(['model.init_cfg.type=Pretrained'] if 'init_cfg' in start else []))
    assert words in last_error(capsys, 'train.py', config, '--work-dir', folder, '--resume', path)
    for load in (lambda: MultiTaskInferencer(str(config), path, device='cpu'),
                 lambda: check_finite(str(path)), lambda: load_url(path.as_uri()),
                 lambda: CheckpointLoader.load_checkpoint(str(path))):
        with pytest.raises(ValueError, match='holds weights that are not finite, 1 of them: neck'):
            load()


def test_resuming_falls_back_to_the_last_whole_finite_one(run, capsys):
    config, folder = run
    spoil(folder / 'epoch_2.pth')
    path, damage = latest_checkpoint(str(folder))
    assert path == str(folder / 'epoch_1.pth')
    assert damage.startswith(f'{folder / "epoch_2.pth"} holds weights that are not finite, ')
    train(str(config), str(folder), '--resume')
    log = max(folder.glob('*/*.log')).read_text()
    assert 'resumed epoch: 1, iter: 3' in log
    assert f'take an earlier checkpoint: going on from {folder / "epoch_1.pth"}' in log
    check_finite(str(folder / 'epoch_3.pth'))


def test_a_plain_state_dict_and_an_old_file_are_looked_at(tmp_path):
    path = tmp_path / 'weights.pth'
    for zipped in (True, False):
        torch.save(dict(a=torch.tensor([np.nan])), path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ValueError, match='not finite, 1 of them: a'):
            check_finite(str(path))
        torch.save(dict(a=torch.tensor([1.0])), path, _use_new_zipfile_serialization=zipped)
        check_finite(str(path))


def test_another_test_in_the_same_folder_puts_earlier_figures_aside(run, tmp_path, capsys):
    """What is refused above is tested without the fault."""
    config, folder = run
    place, read = tmp_path / 'test', []
    for name, bias in (('epoch_1', -50.0), ('epoch_2', 50.0)):  # of class 0: other predictions
        spoil(folder / f'{name}.pth', bias, 'decoders.predict.semseg.bias')
    for name, panels in (('epoch_2', 6), ('epoch_2', 6), ('epoch_1', 2)):
        with running_here():
            load_tool('test.py').main([
                str(config), str(folder / f'{name}.pth'), '--work-dir', str(place), '--show-dir',
                str(tmp_path / 'panels'), '--show-num', str(panels)])
        read.append(json.loads((place / 'metrics.json').read_text()))
        said = capsys.readouterr().out
        assert ('4 of an earlier test are there too' in said) == (name == 'epoch_1')
        assert ('earlier metrics.json, which differs: ' in said) == (name == 'epoch_1')
    assert read[0] == read[1] != read[2]
    (earlier,) = place.glob('metrics.*_*.json')
    assert json.loads(earlier.read_text()) == read[0]
    with running_here(), pytest.warns(UserWarning, match='reads test_dataloader.dataset.split'):
        load_tool('test.py').main([
            str(config), str(folder / 'epoch_1.pth'), '--work-dir', str(place), '--cfg-options',
            'val_dataloader.dataset.split=train'])


def test_finite_weights_that_predict_what_is_not_are_an_error(run, tmp_path, capsys):
    config, work_dir = run
    path = next(work_dir.glob('epoch_*.pth'))
    spoil(path, -1.0, 'backbone.layer1.0.bn1.running_var')
    line = last_error(capsys, 'test.py', config, path, '--work-dir', tmp_path / 'test')
    assert 'the predictions of semseg, saliency are not finite for 0' in line
    with pytest.raises(ValueError, match='the predictions of saliency are not finite for image0'):
        MultiTaskInferencer(str(config), str(path), device='cpu')(
            np.zeros((32, 32, 3), np.uint8), tasks=['saliency'])
