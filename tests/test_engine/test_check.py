"""The commands that check datasets, as the tools call them."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mtpsl.engine import load_config
from mtpsl.engine.checks.check_commands import SHOWN, run_check, run_config_check
from mtpsl.engine.checks.check_data import idle_regularizer
from mtpsl.registry import DATASETS, MODELS
from mtpsl.tasks import build_tasks

ROOT = Path(__file__).parents[2]
CONFIG = """
tasks = dict(semseg=dict(type='Semseg', class_names=('a', 'b')), depth=dict(type='Depth'))
data_root = '{root}'
train_dataloader = dict(dataset=dict(type='FolderDataset', data_root=data_root, split='train'))
val_dataloader = dict(dataset=dict(type='FolderDataset', data_root=data_root, split='val',
                                   optional=('depth',)))
test_dataloader = val_dataloader
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """20 training images of 8x9, the even ones with classes, the odd with depth; 2 to test on."""
    for split, count in (('train', 20), ('val', 2)):
        for folder in ('images', 'semseg', 'depth'):
            (tmp_path / split / folder).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(tmp_path / split / f'images/{number}.png'),
                        np.full((8, 9, 3), number + 100 * (split == 'val'), np.uint8))
            if number % 2:
                if split == 'train':
                    np.save(tmp_path / f'train/depth/{number}.npy', np.full((8, 9), 1.0 + number))
            else:
                cv2.imwrite(str(tmp_path / split / f'semseg/{number}.png'),
                            np.roll(np.eye(8, 9, dtype=np.uint8), number, 1))
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=tmp_path))
    return str(path)


def rows(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in out.splitlines()
            if line.startswith('|')][1:]


def check(config: str, sample: int | None = None, **options: object) -> None:
    run_config_check('check_dataset.py', config, options, sample)


def test_a_sound_config(config, capsys):
    check(config)
    out = capsys.readouterr().out
    assert rows(out) == [
        ['train', 'images', '20', 'any', 'ok'], ['train', 'opened', '20 of 20 images', 'all', 'ok'],
        ['train', 'image size', '8x9', 'any', 'ok'],
        ['train', 'semseg', '0 to 1, 100.0 % known', 'known, not all alike', 'ok'],
        ['train', 'depth', '2 to 20, 100.0 % known', 'known, not all alike', 'ok'],
        ['val', 'images', '2', 'any', 'ok'], ['val', 'opened', '2 of 2 images', 'all', 'ok'],
        ['val', 'image size', '8x9', 'any', 'ok'],
        ['val', 'semseg', '0 to 1, 100.0 % known', 'known, not all alike', 'ok'],
        ['val', 'depth', 'no label', 'any', 'ok']]
    assert out.splitlines()[-1] == f'{config} is as it should be'


def test_problems_are_listed_up_to_a_number(config, tmp_path, capsys):
    for number in range(1, 20, 2):
        np.save(tmp_path / f'train/depth/{number}.npy', np.full((8, 9), -1.0))
    for number in (0, 2):
        cv2.imwrite(str(tmp_path / f'train/semseg/{number}.png'), np.full((8, 9), 7, np.uint8))
    with pytest.raises(SystemExit) as end:
        check(config)
    out = capsys.readouterr().out.splitlines()
    assert end.value.code == 1
    assert sum('FolderDataset train, image' in line for line in out) == SHOWN == 10
    assert out[-2:] == ['and 2 more', f'{config} has problems: 12']
    assert ['train', 'opened', '8 of 20 images', 'all', 'BROKEN'] in rows('\n'.join(out))


def test_labels_that_are_all_alike_differ(config, tmp_path, capsys):
    for number in range(1, 20, 2):
        np.save(tmp_path / f'train/depth/{number}.npy', np.ones((8, 9)))
    with pytest.raises(SystemExit) as end:
        check(config)
    out = capsys.readouterr().out
    assert end.value.code == 1 and out.endswith('is not as expected in 1 of these lines\n')
    assert ['train', 'depth', '1 to 1, 100.0 % known', 'known, not all alike', 'differs'] in rows(
        out)


def test_a_data_set_that_cannot_be_built(config, tmp_path, capsys):
    for path in (tmp_path / 'train/depth').iterdir():
        path.unlink()
    with pytest.raises(SystemExit):
        check(config)
    out = capsys.readouterr().out
    assert ['train', 'files', '-', 'all there', 'BROKEN'] in rows(out)
    assert 'FolderDataset train has no label of the task depth' in out


def test_wrapped_data_sets_are_opened_one_by_one(config, capsys):
    inside = dict(type='FolderDataset', data_root=str(Path(config).parent))
    with pytest.raises(SystemExit):  # since it trains on what it tests on
        check(config, train_dataloader=dict(dataset=dict(
            _delete_=True, type='ConcatDataset', datasets=[
                dict(inside, split='train'), dict(inside, split='val', optional=['depth'])])))
    found = rows(capsys.readouterr().out)
    assert {row[0] for row in found} == {'train 1', 'train 2', 'val'}
    assert ['val', 'trained on too', '2 images', 'none', 'differs'] in found


def test_copies_under_another_name(config, tmp_path, capsys):
    shutil.copy(tmp_path / 'train/images/7.png', tmp_path / 'val/images/1.png')
    with pytest.raises(SystemExit):
        check(config)
    assert ('val: 1 of the 2 validation images are training images too, such as '
            f'{tmp_path}/val/images/1.png, which is {tmp_path}/train/images/7.png'
            ) in capsys.readouterr().out


def test_copies_in_another_training_set(config, tmp_path, capsys):
    shutil.copytree(tmp_path / 'train', tmp_path / 'more')
    inside = dict(type='FolderDataset', data_root=str(tmp_path))
    with pytest.raises(SystemExit):
        check(config, train_dataloader=dict(dataset=dict(
            _delete_=True, type='ConcatDataset', datasets=[
                dict(inside, split='train'), dict(inside, split='more')])))
    out = capsys.readouterr().out
    assert 'train 2: ' in out and f'such as {tmp_path}/more/images/' in out
    assert [row[1] for row in rows(out) if row[-1] == 'differs'] == ['in another training set too']


@pytest.mark.parametrize(('low', 'high', 'told'), [
    (0.67, 10.0, '50% of the known pixels of depth are beyond its bins, 0.67 to 10'),
    (5.0, 30.0, '20% of the known pixels'), (1.0, 20.0, ''),
    (1.0, 20.0, '29% of the known pixels of depth, zoomed by 0.5 to 1, are beyond')])
def test_labels_beyond_the_bins_that_predict_them(low, high, told, config, capsys):
    """Depths of 2, 4, ... 20; a zoom by 0.5 to 1 takes them up to 40."""
    parts = dict(model=dict(decoder=dict(bins=dict(
        depth=dict(type='DepthBins', low=low, high=high, num=40)))))
    if 'zoomed' in told:
        parts['train_dataloader'] = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadLabels'),
            dict(type='RandomScale', scale_range=(0.5, 1.0)), dict(type='PackMultiTaskInputs')]))
    if not told:
        check(config, **parts)
        return
    with pytest.raises(SystemExit):
        check(config, **parts)
    out = capsys.readouterr().out
    assert f'train: {told}' in out and f'from 2 to {40 if "zoomed" in told else 20}' in out
    assert [row[2] for row in rows(out) if row[-1] == 'differs'] == ['beyond bins']


@pytest.mark.parametrize(('kind', 'names', 'told'), [
    ('ViewConsistency', ['semseg'], True), ('ViewConsistency', ['semseg', 'depth'], False),
    ('JointTaskRegularization', ['semseg'], False)])
def test_a_regularizer_that_has_nothing_to_do_is_told(kind, names, told, config):
    """The images with classes alone are wholly labelled; all of them have one label of two."""
    cfg = load_config(config)
    tasks = build_tasks({name: cfg.tasks[name] for name in names})
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, tasks=tasks, drop_unlabelled=True))
    model = SimpleNamespace(tasks=tasks, regularizer=MODELS.build(dict(type=kind, tasks=tasks)))
    found = idle_regularizer(SimpleNamespace(
        model=model, train_dataloader=SimpleNamespace(dataset=dataset)))
    assert (f'all training images are labelled for all 1 tasks: {kind}' in found) == told == bool(
        found)


def test_one_line_errors(tmp_path, capsys):
    (tmp_path / 'empty.py').write_text('x = 1\n')
    with pytest.raises(SystemExit):
        check(str(tmp_path / 'empty.py'))
    err = capsys.readouterr().err
    assert err.startswith(f'check_dataset.py: error: {tmp_path}/empty.py has no data loader')
    assert len(err.splitlines()) == 1


def test_a_layout_at_another_place(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        run_check('nyud.py', str(ROOT / 'configs/_base_/datasets/nyud.py'), str(tmp_path), 20)
    out = capsys.readouterr().out
    assert end.value.code == 1 and f'{tmp_path} has problems: 2' in out
    assert f"there is no folder {tmp_path}/val/image for the split 'val'" in out
