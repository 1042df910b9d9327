"""The figures' command lines, as a user runs them."""

import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import pytest
import torch
from in_process import load_tool
from PIL import Image

from mtpsl.analysis.figures.runs import parse_method

METRICS = {'semseg/mIoU': 40.0, 'saliency/maxF': 70.0, 'initial/semseg/mIoU': 30.0}


def draw(tool: str, out: Path, *arguments: object) -> tuple[list[str], int]:
    """Run a tool; the texts and the number of pictures in its SVG."""
    load_tool(f'analysis_tools/{tool}.py').main([*map(str, arguments), '--out', str(out)])
    content = out.read_text(encoding='utf-8')
    return re.findall(r'>([^<>]+)</text>', content), content.count('<image ')


@pytest.fixture
def work(config, checkpoint, write, tmp_path):
    """A work dir as training and testing leave it."""
    folder = tmp_path / 'work'
    write('work/metrics.json', METRICS)
    write('work/curves.json', dict(iter=1, loss_semseg=1.0))
    shutil.copy(config, folder)
    shutil.copy(checkpoint, folder / 'epoch_1.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    return folder


def test_plots_of_a_work_dir(work, tmp_path, capsys):
    texts, _ = draw('plot_steps', tmp_path / 'steps.svg', work)
    assert {'semseg mIoU ↑', 'saliency maxF ↑', 'multiply-adds (G)'} <= set(texts)
    assert re.search(r'S = 3: 0\.\d+ G multiply-adds', capsys.readouterr().out)
    texts, _ = draw('plot_gains', tmp_path / 'gains.svg', f'mine={work}')
    assert {'semseg mIoU ↑', 'initial', 'denoised', '30.00', '40.00'} <= set(texts)
    texts, _ = draw('plot_curves', tmp_path / 'curves.svg', f'x={work}', work, '--smooth', 3)
    assert {'semseg loss ↓', 'x', 'work'} <= set(texts)


def test_denoising(config, checkpoint, root, tmp_path):
    texts, pictures = draw('plot_denoising', tmp_path / 'a.svg', config, checkpoint, '--images',
                           '1', '--device', 'cpu')
    assert texts[:7] == ['input', 'initial', 'noisy', 'step 3', 'step 2', 'denoised', 'truth']
    # Of semseg five stages and truth; of saliency five stages, its truth is withheld.
    assert pictures == 1 + 6 + 5 and texts.count('no label') == 1
    texts, pictures = draw('plot_denoising', tmp_path / 'b.svg', config, checkpoint, '--files',
                           root / 'val/images/0.jpg', '--tasks', 'saliency', '--stages', 'initial',
                           'denoised', '--max-side', '16')
    assert texts[:3] == ['input', 'initial', 'denoised'] and pictures == 3
    embedded = re.findall(r'base64,([^"]+)"', (tmp_path / 'b.svg').read_text(encoding='utf-8'))
    assert [Image.open(BytesIO(b64decode(one))).size for one in embedded] == [(16, 12)] * 3


def test_methods(work, baseline, root, save_weights, tmp_path):
    # The other method shows the first and the last of this one's five images, not of its own six.
    shutil.copytree(root, tmp_path / 'data')
    for file in (tmp_path / 'data/val').rglob('5.*'):
        file.unlink()
    five = tmp_path / 'five.py'
    five.write_text(f"_base_ = ['{baseline}']\n"
                    f"test_dataloader = dict(dataset=dict(data_root='{tmp_path}/data'))\n")
    weights = save_weights(baseline, str(tmp_path / 'weights.pth'))
    texts, pictures = draw('plot_methods', tmp_path / 'a.svg', f'MTL={five}:{weights}',
                           f'Ours={work}', '--num', '2', '--tasks', 'semseg')
    assert texts[:4] == ['input', 'MTL', 'Ours', 'truth'] and pictures == 2 * 4
    assert {'0', '4'} <= set(texts)


@pytest.mark.parametrize('name', ['input', 'truth'])
def test_a_method_called_like_another_column(name, work):
    with pytest.raises(ValueError, match=f"a method cannot be called '{name}'"):
        parse_method(f'{name}={work}')


def test_a_work_dir_whose_last_checkpoint_is_cut_off_is_said(tmp_path, warned):
    for epoch in (1, 2):
        torch.save(dict(state_dict={}), tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    (tmp_path / 'config.py').touch()
    last = ('a', [(f'{tmp_path}/config.py', f'{tmp_path}/epoch_2.pth')])
    assert parse_method(f'a={tmp_path}') == last and not warned
    (tmp_path / 'epoch_2.pth').write_bytes(b'PK')
    assert parse_method(f'a={tmp_path}')[1][0][1].endswith('epoch_1.pth')
    assert 'epoch_2.pth is not a checkpoint' in warned[0] and 'epoch_1.pth' in warned[0]


def test_typing_errors_are_told_before_predicting(work, config, checkpoint, tmp_path, monkeypatch,
                                                  capsys):
    monkeypatch.delattr('mtpsl.analysis.figures.TrainedModel.of_dataset')
    out = tmp_path / 'a.svg'
    for tool, arguments, told in (
            ('plot_methods', [f'a={work}', '--tasks', 'x'], '--tasks: there is no task x'),
            ('plot_denoising', [config, checkpoint, '--stages', 'x'],
             '--stages: there is no x, there are initial, noisy, step 3, step 2, denoised, truth')):
        with pytest.raises(SystemExit):
            draw(tool, out, *arguments)
        assert told in capsys.readouterr().err


def test_browsing(baseline, tmp_path, capsys):
    def browse(number):
        load_tool('analysis_tools/browse_dataset.py').main([
            baseline, '--out-dir', str(tmp_path / 'out'), '--num', str(number), '--format', 'svg',
            '--epoch', '2', '--seed', '1'])
        return capsys.readouterr().out
    out = browse(3)
    files = sorted((tmp_path / 'out').iterdir())
    assert len(files) == 3 and all(re.fullmatch(r'000\d_\d\.svg', file.name) for file in files)
    assert '3/3 samples' in out and 'others' not in out
    assert '(2 others are there too)' in browse(1)


def test_two_runs_of_one_name(work, capsys):
    for tool in ('plot_gains', 'plot_curves', 'plot_methods'):
        with pytest.raises(SystemExit):
            draw(tool, work / 'a.svg', f'x={work}', f'x={work}')
        assert 'same name' in capsys.readouterr().err
