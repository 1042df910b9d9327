"""The config that a run leaves in its work dir, with sorted keys, is the config of that run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from in_process import load_tool, running_here
from test_faults.poison import train
from test_faults.tiny_run import write_config, write_images

from mtpsl.analysis.figures.runs import run_config
from mtpsl.engine import build_runner, load_config
from mtpsl.engine.dumped_config import is_dump
from mtpsl.engine.visualization import read_curves


def scores(config: Path, checkpoint: Path, folder: Path, *options: str) -> dict[str, float]:
    with running_here():
        load_tool('test.py').main([
            str(config), str(checkpoint), '--work-dir', str(folder),
            *(['--cfg-options', *options] if options else [])])
    return json.loads((folder / 'metrics.json').read_text())


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A config of DiffusionMTL and the work dir of its first epoch."""
    root = tmp_path_factory.mktemp('run')
    write_images(root / 'images')
    config = write_config(
        root / 'config.py', root / 'images', 'train_cfg = dict(max_epochs=2)',
        'default_hooks = dict(logger=dict(interval=1))', "model['diffusion'] = dict(channels=8)")
    text = config.read_text().replace('/mtl_small.py', '/diffusionmtl_small.py')
    config.write_text(text)
    train(str(config), str(root / 'work'), '--cfg-options', 'train_cfg.max_epochs=1')
    return config, root / 'work'


def test_it_predicts_and_goes_on_alike(run, tmp_path):
    config, work = run
    dumped = tmp_path / 'dumped.py'
    shutil.copy(work / 'config.py', dumped)
    assert list(load_config(str(dumped)).tasks) != list(load_config(str(config)).tasks)
    checkpoint = work / 'epoch_1.pth'
    ours, theirs = (scores(path, checkpoint, tmp_path / path.stem)
                    for path in (config, dumped))
    assert ours == theirs and any(ours.values())
    copies = []
    for path in (config, dumped):
        copies.append(tmp_path / f'work_{path.stem}')
        shutil.copytree(work, copies[-1])
        train(str(path), str(copies[-1]), '--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    one, other = (torch.load(folder / 'epoch_2.pth', weights_only=False) for folder in copies)
    for name, value in one['state_dict'].items():
        assert torch.equal(value, other['state_dict'][name]), name
    for number, state in one['optimizer']['state'].items():
        assert all(torch.equal(value, other['optimizer']['state'][number][key])
                   for key, value in state.items())


def test_the_log_has_the_losses_in_the_order_of_the_tasks_and_no_zero(run):
    """Whichever task had a label first."""
    *_, record = read_curves(run[1] / 'curves.json')
    names = [key for key in record if key.startswith('loss')]
    assert names == ['loss', 'loss_semseg', 'loss_semseg_initial', 'loss_saliency',
                     'loss_saliency_initial']
    assert 'unlabelled' not in max(run[1].glob('*/*.log')).read_text().partition('Epoch(train)')[2]


def test_testing_leaves_it_as_it_was(run):
    """A test may have other options, which are in the folder of its log."""
    config, work = run
    before = (work / 'config.py').read_text()
    scores(config, work / 'epoch_1.pth', work, 'model.diffusion.schedule.num_steps=3')
    assert (work / 'config.py').read_text() == before
    found = [path for path in work.glob('*/vis_data/config.py')
             if 'num_steps=3' in path.read_text().replace(' ', '')]
    assert len(found) == 1


def test_a_config_in_its_own_work_dir_stays_and_its_dump_is_beside(run, tmp_path):
    """Also where the dump is of a run with other options, and one file more is the user's."""
    config, other = tmp_path / 'config.py', tmp_path / 'config_dump.py'
    text = run[0].read_text() + '# my own words\n'
    config.write_text(text)
    scores(config, run[1] / 'epoch_1.pth', tmp_path)
    assert config.read_text() == text and is_dump(other)
    train(str(config), str(tmp_path), '--cfg-options', 'train_cfg.max_epochs=1')
    assert config.read_text() == text and is_dump(other)
    assert load_config(str(other)).train_cfg.max_epochs == 1
    assert run_config(str(tmp_path)) == str(other)
    assert f'is dumped to {other}' in max(tmp_path.glob('*/*.log')).read_text()
    train(str(other), str(tmp_path), '--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    assert is_dump(other) and load_config(str(other)).train_cfg.max_epochs == 2
    changed = other.read_text().replace('max_epochs=2', 'max_epochs=3')
    other.write_text(changed)
    train(str(config), str(tmp_path), '--resume', '--cfg-options', 'train_cfg.max_epochs=3')
    assert config.read_text() == text and other.read_text() == changed
    assert len([path for path in tmp_path.glob('config_2*.py') if is_dump(path)]) == 1


@pytest.mark.parametrize('names', [('zeta', 'alpha'), ('alpha', 'zeta')])
def test_hooks_of_equal_priority_act_in_the_order_of_their_names(run, names, tmp_path):
    kinds = dict(zeta='EmptyCacheHook', alpha='SyncBuffersHook')  # both NORMAL
    cfg = load_config(str(run[0]), {f'default_hooks.{name}': dict(type=kinds[name])
                                    for name in names})
    cfg.work_dir = str(tmp_path)
    with running_here():
        hooks = [type(hook).__name__ for hook in build_runner(cfg).hooks]
    assert hooks.index('SyncBuffersHook') < hooks.index('EmptyCacheHook')
