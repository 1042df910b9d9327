"""A training goes on from a checkpoint inside of an epoch, or right at its end."""

from pathlib import Path

import pytest
import torch
from in_process import load_tool, running_here
from mmengine.runner import Runner
from test_faults.poison import train
from test_faults.tiny_run import write_config, write_images

BY_ITERATIONS = """
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=6, val_interval=6)
log_processor = dict(by_epoch=False)
train_dataloader['num_workers'] = 1
"""


@pytest.mark.parametrize('lines, step, seed', [
    *(('train_cfg = dict(max_epochs=2)', step, 3) for step in (1, 2, 3)),
    ('train_cfg = dict(max_epochs=2)', 5, None),  # which mmengine draws
    *((BY_ITERATIONS, step, 3) for step in (2, 4))])
def test_no_step_of_an_epoch_is_done_twice(lines: str, step: int, seed: int | None,
                                           tmp_path: Path, capsys):
    """Three steps per epoch, a checkpoint after each."""
    config = str(write_config(tmp_path / 'config.py', write_images(tmp_path / 'data'), lines))
    options = ['--cfg-options', f'randomness.seed={seed}',
               'default_hooks.checkpoint.by_epoch=False', 'default_hooks.checkpoint.interval=1',
               'default_hooks.checkpoint.max_keep_ckpts=-1']
    run = load_tool('train.py').main
    whole, rest = tmp_path / 'whole', tmp_path / 'rest'
    with running_here():
        run([config, '--work-dir', str(whole), *options])
    rest.mkdir()
    (rest / f'iter_{step}.pth').write_bytes((whole / f'iter_{step}.pth').read_bytes())
    (rest / 'last_checkpoint').write_text(str(rest / f'iter_{step}.pth'))
    with running_here():
        run([config, '--work-dir', str(rest), '--resume', *options])
    assert sorted(path.name for path in rest.glob('iter_*.pth')) == [
        f'iter_{done}.pth' for done in range(step, 7)]
    ends = [torch.load(folder / 'iter_6.pth', weights_only=False) for folder in (whole, rest)]
    for name, value in ends[0]['state_dict'].items():
        assert torch.equal(value, ends[1]['state_dict'][name]), name
    assert ends[0]['meta']['epoch'] == ends[1]['meta']['epoch']


@pytest.mark.parametrize('resets', [True, False])
def test_weights_that_a_hook_sets_anew_are_told_at_resume(resets, tmp_path, monkeypatch):
    root = write_images(tmp_path / 'images')
    config, work = write_config(tmp_path / 'config.py', root), tmp_path / 'work'
    train(str(config), str(work), '--cfg-options', 'train_cfg.max_epochs=2')
    (work / 'epoch_2.pth').unlink()
    (work / 'last_checkpoint').write_text(str(work / 'epoch_1.pth'))

    def set_anew(hook: object, runner: Runner) -> None:
        if resets:
            torch.nn.init.constant_(next(runner.model.parameters()), 0.5)
    monkeypatch.setattr('mtpsl.engine.ReseedHook.before_train', set_anew, raising=False)
    train(str(config), str(work), '--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    log = max(work.glob('*/*.log')).read_text()
    assert ('weights are others than those of' in log) == resets
    assert not resets or '1 of them: backbone.' in log and 'had learned is gone' in log
