"""Both stages of HiTTs by the command lines: trained, resumed, tested."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from in_process import last_of_each, load_tool, running_here

from mtpsl.data_prep.synthetic import write_scenes
from mtpsl.engine.checkpoints.content import read_shapes
from mtpsl.tasks.semseg import VOC_CLASSES

from .conftest import LAYOUTS, ROOT

TINY = ['model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
        'model.decoder.in_channels=(8,16,32,64)', 'model.decoder.channels=16',
        'model.decoder.head_channels=16', 'train_dataloader.batch_size=4',
        'data_preprocessor.size=(64,64)']
HERE = ['test_evaluator.workers=0', 'default_hooks.logger.interval=1',
        *(f'{split}_dataloader.{option}' for split in ('train', 'val', 'test')
          for option in ('num_workers=0', 'persistent_workers=False'))]


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    with running_here():
        yield


def scenes(folder: Path, layout: str, train: int) -> list[str]:
    """``--cfg-options`` that name scenes of 64x64 with one label each."""
    name, ids, tasks = LAYOUTS[layout]
    root = folder / name
    write_scenes(root, layout, train, 2, 64, 64, 0, 1)
    images = (root / ids).read_text().split() if layout == 'pascal' else range(train)
    (root / 'label_mappings').mkdir()
    (root / 'label_mappings/onelabel.json').write_text(json.dumps(
        {str(image): [tasks[k % len(tasks)]] for k, image in enumerate(images)}))
    return [*HERE, *(f'{split}_dataloader.dataset.data_root={root}'
                     for split in ('train', 'val', 'test'))]


def call(script: str, config: str, *arguments: object) -> None:
    load_tool(script).main(last_of_each([ROOT / f'configs/{config}.py', *arguments]))


def logged(work_dir: Path) -> list[dict]:
    found = [json.loads(line) for log in sorted(work_dir.glob('*/vis_data/scalars.json'))
             for line in log.read_text().splitlines()]
    assert found and all(math.isfinite(value) for entry in found for value in entry.values())
    return found


def test_both_stages_train_resume_and_are_tested(tmp_path):
    data, first, second = scenes(tmp_path, 'pascal', 12), tmp_path / 'first', tmp_path / 'second'
    options = ['--cfg-options', *data, *TINY, 'train_cfg.max_epochs=2']
    config = 'synthetic/hitts_onelabel'
    call('train.py', config, '--work-dir', first, *options)
    assert {'loss_semseg', 'loss_normal', 'loss_bins'} <= set().union(*logged(first))
    options += [f'model.teacher={first}', 'model.pseudo.boundary.threshold=0.4',
                'model.pseudo.normal.threshold=0.05']  # so that a teacher of two epochs is sure
    call('train.py', f'{config}_stage2', '--work-dir', second, *options)
    whole = logged(second)
    assert all(entry['loss_feature'] > 0 for entry in whole)
    assert any(entry.get('loss_pseudo', 0) > 0 for entry in whole)
    assert read_shapes(str(second / 'epoch_2.pth')) == read_shapes(str(first / 'epoch_2.pth'))
    assert f"teacher='{first}/epoch_2.pth'" in (second / 'hitts_onelabel_stage2.py').read_text()

    expected = torch.load(second / 'epoch_2.pth', weights_only=False)
    (second / 'epoch_2.pth').unlink()
    (second / 'last_checkpoint').write_text(str(second / 'epoch_1.pth'))
    call('train.py', f'{config}_stage2', '--work-dir', second, '--resume', *options)
    assert 'another file' not in max(second.glob('*/*.log')).read_text()
    again = torch.load(second / 'epoch_2.pth', weights_only=False)
    for key, value in expected['state_dict'].items():
        assert torch.equal(value, again['state_dict'][key]), key

    for work, name in ((first, config), (second, f'{config}_stage2')):  # the teacher is not needed
        call('test.py', name, work / 'epoch_2.pth', '--work-dir', work / 'test', '--cfg-options',
             *data, *TINY, *(['model.teacher=/gone'] if work == second else []))
        metrics = json.loads((work / 'test/metrics.json').read_text())
        assert {'semseg/mIoU', 'parsing/mIoU', 'saliency/maxF', 'normal/mErr',
                'boundary/odsF'} <= set(metrics)

    with pytest.raises(SystemExit):
        call('train.py', f'{config}_stage2', '--work-dir', second, '--resume', *options,
             f'model.teacher={first}/epoch_1.pth')

    teacher = first / 'epoch_2.pth'
    content = torch.load(teacher, weights_only=False)
    next(iter(content['state_dict'].values())).mul_(1.01)
    torch.save(content, teacher)
    call('train.py', f'{config}_stage2', '--work-dir', second, '--resume', *options)
    assert f'{teacher} is another file than the {teacher} of the run' in (
        max(second.glob('*/*.log')).read_text())


def test_other_teachers_are_refused_before_training(tmp_path, capsys):
    data, first = scenes(tmp_path, 'pascal', 6), tmp_path / 'first'
    options = ['--cfg-options', *data, *TINY, 'train_cfg.max_epochs=1']
    call('train.py', 'synthetic/hitts_onelabel', '--work-dir', first, *options)
    teacher = f'model.teacher={first}'
    names = str(VOC_CLASSES[1:] + VOC_CLASSES[:1]).replace(' ', '')
    cases = [('model.teacher=/nowhere', 'model.teacher=/nowhere: there is no /nowhere'),
             (f'model.teacher={tmp_path}', 'has no last_checkpoint; train stage 1 first'),
             (f'{teacher}|model.decoder.head_channels=24', 'model.teacher: .*of another model'),
             (f'{teacher}|model.decoder.dilations=(1,2,3)', 'dilations.0 2 -> 1'),
             (f'{teacher}|data_preprocessor.std=(1.0,1.0,1.0)', r'std\.0 58\.\d+ -> 1'),
             (f'{teacher}|tasks.semseg.class_names={names}', r'of another model .*class_names')]
    for number, (changes, message) in enumerate(cases):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            call('train.py', 'synthetic/hitts_onelabel_stage2', '--work-dir',
                 tmp_path / f'second{number}', *options, *changes.split('|'))
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.search(message, error), error
        assert not list((tmp_path / f'second{number}').glob('*.pth'))
