"""Training and testing as a user runs them."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from in_process import load_tool

from mtpsl.engine.checkpoints.content import read_shapes

from .conftest import CONFIG, data_options, run, write_scenes


def test_training_logs_an_eta_and_leaves_checkpoints(trained):
    log = (trained / 'stdout.txt').read_text()
    assert 'Epoch(train) [2][4/4]' in log and 'eta: 0:00:00' in log
    assert 'loss_semseg' in log and 'loss_semseg_initial' in log
    assert read_shapes(trained / 'epoch_2.pth')['diffusion.denoiser.embed.normal.bias'] == (16,)
    for noise in ('FileClient', 'HardDiskBackend', 'OneDL', 'Failed to search registry',
                  'MultiScaleDeformableAttention'):
        assert noise not in log


@pytest.fixture(scope='module')
def tested(trained, options, tmp_path_factory):
    """The folder of a test with all that it can write, and what it said."""
    folder = tmp_path_factory.mktemp('tested')
    done = run('test.py', CONFIG, trained / 'epoch_2.pth', '--work-dir', folder, '--out',
               folder / 'out.json', '--show-dir', folder / 'panels', '--show-num', 2,
               '--html', folder / 'report/page.html', '--html-num', 1, *options, fresh=True)
    return folder, done.stdout


def test_testing_prints_the_table_writes_metrics_and_panels(tested):
    folder, said = tested
    metrics = json.loads((folder / 'out.json').read_text())
    primary = {'semseg/mIoU', 'parsing/mIoU', 'saliency/maxF', 'normal/mErr', 'boundary/odsF'}
    assert primary | {f'initial/{name}' for name in primary} <= set(metrics)
    assert metrics['higher_is_better'] == {name: name != 'normal/mErr' for name in primary}
    assert set(metrics['task_options']) == {name.split('/')[0] for name in primary}
    digest = metrics['tested'].pop('digest of the images')
    labels = {metrics['tested'].pop(f'digest of the labels of {name}')
              for name in metrics['task_options']}
    assert len(labels) == len(metrics['task_options'])
    assert metrics['tested'].pop('checkpoint') == 'epoch_2.pth'
    assert set(metrics['tested'].pop('training, as digests')) == {
        'model', 'optim_wrapper', 'param_scheduler', 'processes', 'train_dataloader'}
    assert metrics['tested'] == dict(images=6, tta=None, amp=False, num_samples=1) | {
        'denoising steps': 2, 'settings changed since training': []} | {
        f'labelled images of {name}': 6 for name in metrics['task_options']}
    assert re.fullmatch('[0-9a-f]{8}', digest)
    assert 'NaN' not in (folder / 'out.json').read_text()
    assert (folder / 'out.md').read_text().strip() in said
    assert 'semseg/IoU.person' in metrics and 'delta_m' not in metrics
    assert f'{metrics["normal/mErr"]:.2f}' in said and 'semseg mIoU ↑' in said
    panels = sorted((folder / 'panels').glob('*.png'))
    assert len(panels) == 2
    assert cv2.imread(str(panels[0])).shape[0] > 4 * 64  # truth, initial, noisy, denoised
    check_report((folder / 'report/page.html').read_text(), metrics, panels)


def test_other_ways_to_test(tested, trained, options, tmp_path):
    """In bfloat16 near float32, one view as none, six views otherwise."""
    scores = dict(plain=json.loads((tested[0] / 'out.json').read_text()))
    for name, extra in dict(half=['--amp', *options], six=['--tta', *options],
                            one=['--tta', *options, 'tta_model.scales=(1.0,)',
                                 'tta_model.flip=False']).items():
        done = run('test.py', CONFIG, trained / 'epoch_2.pth', '--work-dir', tmp_path, '--out',
                   tmp_path / f'{name}.json', *extra)
        assert ('6 views of an image' in done.stdout) == (name == 'six')
        scores[name] = json.loads((tmp_path / f'{name}.json').read_text())
    views = {name: score.pop('tested')['tta'] for name, score in scores.items()}
    assert (views['plain'], views['one'], len(views['six'])) == (None, ['1'], 6)
    assert scores['one'] == scores['plain']
    for metric in ('normal/mErr', 'initial/normal/mErr'):
        assert scores['six'][metric] != scores['plain'][metric]
    assert scores['half']['normal/mErr'] != scores['plain']['normal/mErr'] == pytest.approx(
        scores['half']['normal/mErr'], rel=0.05)


def test_a_checkpoint_of_another_run_with_the_name_of_one_s_own_is_told(tmp_path, recwarn):
    one, other = tmp_path / 'one/epoch_2.pth', tmp_path / 'other/epoch_2.pth'
    for path in (one, other):
        path.parent.mkdir()
        path.touch()
    tell_own = load_tool('test.py').tell_own
    tell_own(one.parent, one)
    tell_own(tmp_path, other)
    assert not recwarn
    with pytest.warns(UserWarning, match='other/epoch_2.pth is tested, and .*one, where its figur'):
        tell_own(one.parent, other)


def check_report(page, metrics, panels):
    """The figures of metrics.json, whole by itself, and the panels of the images it names."""
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and '<script' not in page
    cells = re.findall(r'<td>([^<]*)</td>', page)
    for name, decimals in (('normal/mErr', 2), ('initial/normal/mErr', 2), ('semseg/mIoU', 2)):
        assert f'{metrics[name]:.{decimals}f}' in cells
    links = set(re.findall(r'<a href="#(\w+)">', page))
    assert links == set(re.findall(r'<figure id="(\w+)">', page)) and 2 <= len(links) <= 6
    shown = dict(re.findall(r'<b>(synthetic_\d+)</b>.*?base64,([^"]+)"', page, re.DOTALL))
    assert len(shown) == len(links)
    compared = [path for path in panels if path.stem in shown]
    for path in compared:
        report = cv2.imdecode(np.frombuffer(base64.b64decode(shown[path.stem]), np.uint8), 1)
        assert np.abs(report.astype(int) - cv2.imread(str(path))).mean() < 4  # JPEG
    assert compared


def test_bfloat16_training_runs_on_a_cpu(options, tmp_path):
    done = run('train.py', CONFIG, '--work-dir', tmp_path, '--amp', *options,
               'train_cfg.max_epochs=1')
    assert 'AutocastOptimWrapper' in done.stdout and (tmp_path / 'epoch_1.pth').is_file()


def test_full_width_config_trains_a_step(tmp_path):
    """pascal_random_r18 as it is, but for the time's sake at 128x128 on one scene of 94x125."""
    scenes = write_scenes(tmp_path / 'PASCALContext', 1, 1, 94, 125, 'randomlabels')
    done = run('train.py', 'configs/diffusionmtl/pascal_random_r18.py', '--work-dir', tmp_path,
               '--cfg-options', *data_options(scenes, 'train', 'val', 'test'),
               'model.backbone.init_cfg=None', 'train_dataloader.batch_size=1',
               'data_preprocessor.size=(128,128)',
               'train_dataloader.dataset.pipeline.3.size=(128,128)',
               'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
               'train_cfg.max_epochs=1', 'train_cfg.val_begin=2',
               'default_hooks.logger.interval=1', 'default_hooks.checkpoint.interval=-1',
               'default_hooks.checkpoint.save_last=False')
    assert 'Epoch(train) [1][1/1]' in done.stdout
    assert 'grad_norm: nan' not in done.stdout


# As processes; in one process tests/test_faults/test_bad_inputs.py has many more.
@pytest.mark.parametrize('arguments, message', [
    (['train.py', CONFIG, '--launcher', 'slurm'], 'SLURM_PROCID'),
    (['train.py', CONFIG, '--cfg-options', 'train_dataloader.dataset.data_root=/nowhere'],
     '/nowhere/ImageSets/Context/train.txt')])
def test_bad_command_lines_end_with_one_clear_error(arguments, message, tmp_path):
    done = run(*arguments, '--work-dir', tmp_path, check=False)
    assert done.returncode == 1
    assert message in done.stdout.splitlines()[-1]
    assert 'error: ' in done.stdout.splitlines()[-1] and 'Traceback' not in done.stdout


def test_a_traceback_on_request():
    done = run('train.py', 'nowhere.py', check=False, MTPSL_TRACEBACK='1')
    assert 'Traceback' in done.stdout and 'nowhere.py does not exist' in done.stdout
