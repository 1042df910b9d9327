"""Each layout with its real reader, each label setting: checked, trained and tested."""

import json
import shutil
from pathlib import Path

import cv2
import pytest

from .conftest import LAYOUTS, TINY, run, write_scenes

SIZES = dict(pascal=(64, 64), nyud=(64, 96), cityscapes=(64, 128))
HEADLINES = dict(semseg='mIoU', parsing='mIoU', saliency='maxF', normal='mErr', boundary='odsF',
                 depth='absErr')
SHRINK = ['--cfg-options', *TINY, 'train_cfg.max_epochs=1', 'train_dataloader.num_workers=0',
          'train_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
          'test_dataloader.persistent_workers=False']
SETTINGS = [('pascal', 'randomlabels', 'random'), ('nyud', 'onelabel', 'nyud_onelabel'),
            ('nyud', 'randomlabels', 'nyud_random_feature'),
            ('cityscapes', 'onelabel', 'cityscapes_onelabel')]


@pytest.fixture(scope='session')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``MTPSL_DATA`` names: 8 training and 4 test scenes in each layout."""
    folder = tmp_path_factory.mktemp('data')
    for layout, (name, _, _) in LAYOUTS.items():
        settings = {setting for kind, setting, _ in SETTINGS if kind == layout}
        write_scenes(folder / 'synthetic' / name, 8, 4, *SIZES[layout], *settings, layout=layout)
    return folder


@pytest.mark.parametrize('layout, setting, config', SETTINGS)
def test_a_setting_trains_and_tests(layout, setting, config, data, tmp_path):
    path = f'configs/synthetic/diffusionmtl_{config}.py'
    options = [*SHRINK, f'data_preprocessor.size=({SIZES[layout][0]},{SIZES[layout][1]})']
    done = run('train.py', path, '--work-dir', tmp_path, *options, MTPSL_DATA=str(data))
    tasks = LAYOUTS[layout][2]
    assert 'Epoch(train) [1][2/2]' in done.stdout and 'grad_norm: nan' not in done.stdout
    assert any(f'loss_{task}:' in done.stdout for task in tasks)

    done = run('test.py', path, tmp_path / 'epoch_1.pth', '--work-dir', tmp_path, '--show-dir',
               tmp_path / 'panels', '--show-num', 1, *options, MTPSL_DATA=str(data))
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    for task in tasks:
        assert metrics[f'{task}/{HEADLINES[task]}'] is not None, task
        assert f'{task} {HEADLINES[task]}' in done.stdout
    assert not [key for key in metrics if key.split('/')[0] in set(HEADLINES) - set(tasks)]
    panel, = (tmp_path / 'panels').glob('*.png')
    assert cv2.imread(str(panel)).shape[1] > len(tasks) * SIZES[layout][1]


@pytest.mark.parametrize('layout, tool', [
    ('pascal', 'pascal_context.py'), ('nyud', 'nyud.py'), ('cityscapes', 'cityscapes.py')])
def test_a_layout_is_checked(layout, tool, data, tmp_path):
    name = LAYOUTS[layout][0]
    root = data / 'synthetic' / name
    done = run(f'dataset_converters/{tool}', 'check', root, fresh=True)
    assert f'{root} is as it should be' in done.stdout.splitlines()[-1]
    for task in LAYOUTS[layout][2]:
        assert f'| train | {task} ' in done.stdout

    # A broken one: training fails with the words of the check.
    broken = tmp_path / 'synthetic' / name
    shutil.copytree(root, broken)
    image = next(broken.rglob('JPEGImages/*_000001.jpg' if layout == 'pascal'
                              else 'train/image/0.npy'))
    image.write_bytes(image.read_bytes()[:100])
    done = run(f'dataset_converters/{tool}', 'check', broken, check=False)
    assert done.returncode == 1 and 'BROKEN' in done.stdout
    problem, = (line for line in done.stdout.splitlines() if str(image) in line)
    config = {'pascal': 'random'}.get(layout, f'{layout}_onelabel')
    done = run('train.py', f'configs/synthetic/diffusionmtl_{config}.py', '--work-dir', tmp_path,
               *SHRINK, 'train_dataloader.batch_size=8', MTPSL_DATA=str(tmp_path), check=False)
    assert done.returncode == 1 and problem in done.stdout.splitlines()[-1]


def test_a_check_that_cannot_start(tmp_path):
    done = run('dataset_converters/nyud.py', 'check', tmp_path, check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stdout
    assert f"no folder {tmp_path}/train/image for the split 'train'" in done.stdout
    done = run('dataset_converters/cityscapes.py', 'check', tmp_path, '--sample', '0', check=False)
    assert "expected a number of at least 1, or 'all', got '0'" in done.stdout.splitlines()[-1]
