"""What counts over validations goes on where it was when a run is resumed."""

import json
from pathlib import Path

import pytest
import torch
from in_process import load_tool, running_here

from mtpsl.engine import build_runner, load_config
from mtpsl.engine.visualization import read_curves
from mtpsl.engine.visualization.curve_backend import CurveVisBackend, add_curves

from .tiny_run import write_config, write_images

# No figure counts as better: the rate falls after epoch 3, and the run ends after epoch 5 of 7.
LINES = ("""\
train_cfg = dict(max_epochs=7, val_begin=1, val_interval=1)
val_dataloader['dataset']['max_images'] = 2
param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='semseg/mIoU', rule='greater',
                        patience=1, threshold=1000.0, threshold_rule='abs')]
custom_hooks = [dict(type='EarlyStoppingHook', monitor='semseg/mIoU', rule='greater',
                     patience=4, min_delta=1000.0)]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=-1), logger=dict(interval=1))
""")
MEASURED = ('time', 'data_time', 'eta', 'memory')
OPTIONS = dict(epoch=[], iter=['--cfg-options', 'default_hooks.checkpoint.by_epoch=False'])


def train(config: Path, work_dir: Path, *arguments: str) -> None:
    with running_here():
        load_tool('train.py').main([str(config), '--work-dir', str(work_dir), *arguments])


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('figures')
    return write_config(folder / 'config.py', write_images(folder / 'data'), LINES)


@pytest.fixture(scope='module')
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The work dirs of runs that nothing interrupts, with checkpoints by epoch or iteration."""
    folder = tmp_path_factory.mktemp('whole')
    for unit, options in OPTIONS.items():
        train(config, folder / unit, *options)
    return {unit: folder / unit for unit in OPTIONS}


def figures(work_dir: Path) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in MEASURED}
            for record in read_curves(work_dir / 'curves.json')]


@pytest.mark.parametrize('unit, number, validated', [
    ('epoch', 2, True),  # the validation of the epoch had ended before the kill
    ('epoch', 3, True), ('epoch', 3, False), ('epoch', 5, True),
    ('iter', 7, True),  # inside of epoch 3
    ('iter', 9, True), ('iter', 9, False)])
def test_counts_over_validations_go_on(unit, number, validated, config, whole, tmp_path):
    old, new, name = whole[unit], tmp_path / 'run', f'{unit}_{number}.pth'
    new.mkdir()
    (new / name).write_bytes((old / name).read_bytes())
    (new / 'last_checkpoint').write_text(str(new / name))
    after = number * (3 if unit == 'epoch' else 1)
    kept = [record for record in read_curves(old / 'curves.json')
            if validated or record.get('after', 0) < after]
    (new / 'curves.json').write_text(''.join(json.dumps(record) + '\n' for record in kept))
    train(config, new, '--resume', *OPTIONS[unit])
    last = f'{unit}_{5 if unit == "epoch" else 15}.pth'
    assert max(new.glob('*.pth'), key=lambda path: int(path.stem.split('_')[1])).name == last
    assert figures(new) == figures(old)
    ours, theirs = (torch.load(folder / last, weights_only=False) for folder in (new, old))
    assert [group['lr'] for group in ours['optimizer']['param_groups']] == [
        group['lr'] for group in theirs['optimizer']['param_groups']] == [pytest.approx(1e-4)] * (
            len(theirs['optimizer']['param_groups']))
    assert ours['param_schedulers'] == theirs['param_schedulers']
    for key, value in theirs['state_dict'].items():
        assert torch.equal(value, ours['state_dict'][key]), key


LOCAL = dict(type='LocalVisBackend')


@pytest.mark.parametrize('visualizer', [
    dict(vis_backends=[LOCAL]),  # as one adds TensorBoard
    dict(_delete_=True, type='Visualizer', vis_backends=LOCAL)])
def test_a_visualizer_of_the_user_s_own_keeps_what_a_resume_needs(visualizer, config, tmp_path):
    own, run = tmp_path / 'own.py', tmp_path / 'run'
    own.write_text(f"_base_ = '{config}'\ntrain_cfg = dict(max_epochs=1)\n"
                   f'visualizer = {visualizer}\n')
    train(own, run)
    whole = figures(run)
    assert [record['step'] for record in whole] == [1, 2, 3, 1]
    curves = run / 'curves.json'
    curves.write_text(''.join(curves.read_text().splitlines(keepends=True)[:3]))
    train(own, run, '--resume')  # the validation was interrupted
    assert figures(run) == whole


@pytest.mark.parametrize('given', [
    'CurveVisBackend', 'mtpsl.CurveVisBackend', CurveVisBackend, None])
def test_curves_are_added_once(given, config):
    cfg = load_config(str(config))
    cfg.visualizer = given and dict(type='Visualizer', vis_backends=[dict(type=given, name='own')])
    for _ in range(2):
        add_curves(cfg)
    found = [str(backend.type) for backend in cfg.visualizer.vis_backends]
    assert sum('CurveVisBackend' in kind for kind in found) == 1


def test_curves_are_in_the_work_dir_wherever_pictures_go(config, tmp_path):
    cfg = load_config(str(config), {'visualizer.save_dir': str(tmp_path / 'pictures'),
                                    'work_dir': str(tmp_path / 'run')})
    runner = build_runner(cfg)
    paths = [backend.path for backend in runner.visualizer._vis_backends.values()
             if isinstance(backend, CurveVisBackend)]
    assert paths == [tmp_path / 'run/curves.json']
