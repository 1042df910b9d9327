"""Three sets of other layouts and other labels: trained, resumed and tested as one."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from in_process import load_tool, running_here
from test_tools.conftest import TINY

from mtpsl.data_prep.synthetic import write_scenes
from mtpsl.engine import load_config

CONFIG = 'configs/synthetic/diffusionmtl_joint.py'
FIGURES = {'pascal/semseg/mIoU', 'pascal/parsing/mIoU', 'pascal/boundary/odsF', 'nyud/depth/absErr',
           'nyud/normal/mErr', 'masks/saliency/maxF'}
SINGLE = ('test_evaluator.single_task={"nyud": {"depth": 2.0, "normal": 40.0}, '
          '"masks": {"saliency": 50.0}}')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of two sizes."""
    root = tmp_path_factory.mktemp('data')
    for seed, (name, layout, height) in enumerate((('PASCALContext', 'pascal', 64),
                                                   ('NYUD', 'nyud', 48), ('masks', 'pascal', 64))):
        write_scenes(root / 'synthetic/joint' / name, layout, 4, 2, height, 64, seed, 1)
    return root


def run(tool: str, data: Path, *arguments: object, options: tuple = ()) -> None:
    with running_here() as patch:
        patch.setenv('MTPSL_DATA', str(data))
        load_tool(tool).main([*map(str, arguments), '--cfg-options', *TINY, *options,
                              'data_preprocessor.size=(64,64)', 'train_dataloader.num_workers=0',
                              'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0'])


def weights(work: Path) -> dict:
    return torch.load(work / 'epoch_2.pth', weights_only=False)['state_dict']


@pytest.fixture(scope='module')
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp('run')
    run('train.py', data, CONFIG, '--work-dir', work, options=(
        'train_cfg.val_begin=2', 'default_hooks.checkpoint.save_best=nyud/depth/absErr'))
    assert list(work.glob('best_nyud_depth_absErr_epoch_2.pth'))
    return work


def test_a_resumed_run_is_the_one_that_was_not_stopped(trained, data, tmp_path):
    work = tmp_path / 'run'
    work.mkdir()
    shutil.copy(trained / 'epoch_1.pth', work)
    run('train.py', data, trained / 'diffusionmtl_joint.py', '--work-dir', work, '--resume',
        work / 'epoch_1.pth')
    first, second = weights(trained), weights(work)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_figures_are_of_each_set(trained, data, tmp_path, capsys):
    run('test.py', data, CONFIG, trained / 'epoch_2.pth', '--work-dir', tmp_path / 'test',
        '--show-dir', tmp_path / 'panels', '--show-num', 1, '--html', tmp_path / 'report.html',
        options=(SINGLE,))
    metrics = json.loads((tmp_path / 'test/metrics.json').read_text())
    assert set(metrics) >= FIGURES
    assert not {key for key in metrics if key.startswith(('pascal/depth', 'nyud/semseg'))}
    gains = [(metrics['masks/saliency/maxF'] - 50) / 50, (40 - metrics['nyud/normal/mErr']) / 40,
             (2 - metrics['nyud/depth/absErr']) / 2]
    assert metrics['delta_m'] == pytest.approx(100 * sum(gains) / 3)
    assert metrics['nyud/delta_m'] == pytest.approx(50 * sum(gains[1:]))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| ')]
    assert [row.split('|')[1].strip() for row in rows[2:]] == [
        'masks initial', 'masks final', 'nyud initial', 'nyud final',
        'pascal initial', 'pascal final', 'all sets initial', 'all sets final']
    # Drawn for each set, whatever it has truth for.
    assert {path.parent.name for path in (tmp_path / 'panels').rglob('*.png')} == {
        'masks', 'nyud', 'pascal'}
    page = (tmp_path / 'report.html').read_text()
    assert 'nyud final' in page and 'pascal semseg' in page


@pytest.mark.parametrize('options, words', [
    (('default_hooks.checkpoint.save_best=nyud/semseg/mIoU', 'train_cfg.val_begin=2'),
     ["'nyud/semseg/mIoU' is no figure of the validation, which gives", 'masks/saliency/maxF',
      'nyud/initial/depth/absErr']),
    (('val_evaluator.single_task={"depth": 2.0}',),
     ['val_evaluator.single_task must hold a figure for each task of each set',
      'pascal, nyud, masks']),
    (('val_evaluator.single_task={"rooms": {"depth": 2.0}}',), ['pascal, nyud, masks']),
    (('val_evaluator.single_task={"nyud": {"semseg": 2.0}}',),
     ['single_task.nyud has a figure of semseg', 'it is for depth, normal']),
    (('val_dataloader.dataset.datasets.NYUD=None',), ["no set 'NYUD'", 'only pascal, nyud, masks']),
    (('train_dataloader.sampler.weights={"nyud": 1}', 'train_dataloader.sampler.temperature=None'),
     ['weights must be a positive number for each of the sets masks, nyud, pascal']),
    (('train_dataloader.dataset.datasets.nyud.tasks=["parsing"]',), ['nyud', 'parsing']),
    (('train_dataloader.dataset.datasets.nyud=3',), ['datasets must be a dict of set name']),
    (('train_dataloader.dataset.datasets=3',), ['datasets must be a dict of set name']),
    (('train_dataloader.dataset.names.nyud.depth=semseg',),
     ['cannot use the semseg label', 'are they class ids?']),
])
def test_wrong_settings_are_one_error(options, words, data, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run('train.py', data, CONFIG, '--work-dir', tmp_path / 'run', options=options)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(word in error for word in words), error


@pytest.mark.parametrize('name, told', [('nyud', False), ('nuyd', True)])
def test_a_file_leaves_out_only_sets_of_its_bases(name, told, tmp_path):
    base = tmp_path / 'base.py'  # of one more set, which it leaves out itself
    base.write_text(f"_base_ = '{Path(CONFIG).resolve()}'\n"
                    "val_dataloader = dict(dataset=dict(datasets=dict(masks=None)))")
    child = tmp_path / 'child.py'
    child.write_text("_base_ = './base.py'\n"
                     f'val_dataloader = dict(dataset=dict(datasets=dict({name}=None)))')
    if told:
        with pytest.raises(KeyError, match=r"child.py: val_.*no set 'nuyd' .* only pascal, nyud"):
            load_config(str(child))
    else:
        assert list(load_config(str(child)).val_dataloader.dataset.datasets) == ['pascal']


def test_sets_are_named_in_the_check_and_in_pictures(data, tmp_path, capsys):
    with running_here() as patch:
        patch.setenv('MTPSL_DATA', str(data))
        load_tool('analysis_tools/check_dataset.py').main([CONFIG])
        table = capsys.readouterr().out
        assert all(f'| train {name} ' in table for name in ('pascal', 'nyud', 'masks'))
        load_tool('analysis_tools/browse_dataset.py').main([
            CONFIG, '--out-dir', str(tmp_path), '--images', 'nyud/1'])
    assert [path.name for path in tmp_path.iterdir()] == ['0001_nyud_1.png']
