"""docs/own_data.md: its config, run on a folder as it shows, with scenes whose labels are exact."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.data_prep.synthetic import render_scene
from mtpsl.registry import TASKS

from .conftest import ROOT, TINY, run

DOCUMENT = ROOT / 'docs/own_data.md'
CONFIG, WITHHOLD = re.findall(r'```python\n(.*?)```', DOCUMENT.read_text(), re.DOTALL)
SIZE = (64, 96)
# PASCAL VOC's classes as the four of the document.
CLASSES = np.zeros(21, np.uint8)
CLASSES[[5, 7, 12, 20]] = 3
CLASSES[[9, 11, 16, 18]] = 2
CLASSES[15] = 1
# Which images have which label, as p(ng) or n(py); the first five are those of the document.
TRAIN = {'0001': dict(semseg='p', saliency='p', depth='p'), '0002': dict(saliency='p', normals='p'),
         '0003': dict(semseg='n', depth='n'), '0004': dict(normals='n'), '0005': {},
         '0006': dict(semseg='p', saliency='n', normals='p'), '0007': dict(depth='p'),
         '0008': dict(semseg='p', saliency='p'), '0009': dict(saliency='p', normals='n', depth='n'),
         '0010': dict(semseg='n', saliency='p')}
VAL = {'1001': dict(semseg='p', saliency='p', depth='p'), '1002': dict(semseg='p', saliency='p'),
       '1003': dict(semseg='n', depth='n')}
SHRUNK = [*TINY, 'data_preprocessor.size=(64,64)', 'model.backbone.init_cfg=None',
          'train_dataloader.dataset.pipeline.2.scale_range=(0.8,1.25)',
          'train_dataloader.dataset.pipeline.3.size=(64,64)',
          *(f'{split}_dataloader.{option}' for split in ('train', 'val', 'test')
            for option in ('num_workers=0', 'persistent_workers=False'))]


def write_label(path: Path, scene, kind: str) -> None:
    """One label as the document's table says."""
    maps = dict(semseg=CLASSES[scene.semseg], saliency=scene.saliency, normals=scene.normal,
                depth=scene.depth)
    label = maps[path.parent.name]
    if kind == 'n':
        np.save(path.with_suffix('.npy'), label)
        return
    pictures = dict(
        semseg=lambda: label, saliency=lambda: label * 255,
        normals=lambda: np.rint((label[..., ::-1] + 1) / 2 * 255).astype(np.uint8)
        * label.any(2, keepdims=True),
        depth=lambda: np.rint(label * 1000).astype(np.uint16))
    assert cv2.imwrite(str(path.with_suffix('.png')), pictures[path.parent.name]())


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    """A directory with the document's data/mine and configs/mine/rooms.py."""
    place = tmp_path_factory.mktemp('own')
    for split, images in (('train', TRAIN), ('val', VAL)):
        root = place / 'data/mine' / split
        for folder in {'images', *(task for labels in images.values() for task in labels)}:
            (root / folder).mkdir(parents=True)
        for image_id, labels in images.items():
            scene = render_scene(int(image_id), *SIZE)
            cv2.imwrite(str(root / f'images/{image_id}.jpg'), scene.image[..., ::-1])
            for task, kind in labels.items():
                write_label(root / task / image_id, scene, kind)
    config = place / 'configs/mine/rooms.py'
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG)
    (place / 'configs/_base_').symlink_to(ROOT / 'configs/_base_')
    return place


def options(place: Path) -> list[str]:
    return ['--cfg-options', *SHRUNK, *(f'{split}_dataloader.dataset.data_root={place}/data/mine'
                                        for split in ('train', 'val', 'test'))]


def test_the_tree_of_the_document_is_the_one_that_is_tested():
    tree = re.search(r'```\n(data/mine/.*?)```', DOCUMENT.read_text(), re.DOTALL)[1]
    for split, images in (('train', TRAIN), ('val', VAL)):
        branch = tree.split(f'── {split}/')[1].split('\n└── val')[0]
        for folder, names in re.findall(r'── (\w+)/ +(.*?) \.\.\.', branch):
            files = [f'{i}.jpg' for i in images] if folder == 'images' else [
                f'{i}.{dict(p="png", n="npy")[labels[folder]]}'
                for i, labels in images.items() if folder in labels]
            assert files[:len(names.split())] == names.split(), f'{split}/{folder}'
        folders = set(re.findall(r'── (\w+)/ ', branch))
        assert folders == {'images', *(task for labels in images.values() for task in labels)}


def test_the_config_of_the_document_trains_and_is_tested(place, tmp_path):
    config = place / 'configs/mine/rooms.py'
    done = run('train.py', config, '--work-dir', tmp_path, *options(place))
    assert 'Epoch(train) [2][2/2]' in done.stdout and 'loss_depth' in done.stdout
    assert 'loss_normal' in done.stdout and 'nan' not in done.stdout.lower()
    shown = re.search(r'^(FolderDataset train) \(.*?\)(: .*)$', DOCUMENT.read_text(), re.MULTILINE)
    line = f'{shown[1]} ({place}/data/mine/train){shown[2]}'
    assert done.stdout.count(line) == 1

    done = run('test.py', config, tmp_path / 'epoch_2.pth', '--work-dir', tmp_path, '--show-dir',
               tmp_path / 'panels', *options(place))
    assert ('FolderDataset val' in done.stdout
            and '3 images. Labelled for semseg 3, saliency 2, normal 0, depth 2' in done.stdout)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert 0 <= metrics['semseg/mIoU'] <= 100 and 0 < metrics['saliency/maxF'] <= 100
    # The scenes' depth reaches 60 m; read as millimetres the error would be in the thousands.
    assert 0.1 < metrics['depth/absErr'] < 60 and metrics['initial/depth/absErr'] < 60
    assert 'semseg/IoU.furniture' in metrics and not any('normal' in name for name in metrics)
    row = next(line for line in done.stdout.splitlines() if line.startswith('| final'))
    assert [cell.strip() == '-' for cell in row.split('|')[2:6]] == [False, False, True, False]
    assert sorted(path.name for path in (tmp_path / 'panels').glob('*.png')) == [
        f'{image_id}.png' for image_id in VAL]


def test_withholding_as_the_document_does(place, monkeypatch):
    monkeypatch.chdir(place)
    exec(WITHHOLD, {})
    mapping = json.loads((place / 'data/mine/label_mappings/onelabel.json').read_text())
    there = {image_id: {dict(normals='normal').get(task, task) for task in labels}
             for image_id, labels in TRAIN.items()}
    assert set(mapping) == set(there)
    for image_id, tasks in mapping.items():
        assert len(tasks) == min(1, len(there[image_id])) and set(tasks) <= there[image_id]


def test_the_errors_are_the_document_s(place, tmp_path):
    """A folder with labels of wrong names ends the training with the document's line."""
    errors = DOCUMENT.read_text().split('## Errors')[1]
    config, depth = place / 'configs/mine/rooms.py', place / 'data/mine/train/depth'
    files = sorted(depth.iterdir())
    renamed = [path.rename(path.with_name(f'{path.stem}_depth.png')) for path in files]
    try:
        done = run('train.py', config, '--work-dir', tmp_path, *options(place), check=False)
    finally:
        for path, other in zip(files, renamed):
            other.rename(path)
    last = done.stdout.splitlines()[-1].replace(f'{place}/', '')
    expected = errors.split('```\n')[1].splitlines()[0]
    assert done.returncode == 1 and f'train.py: error: {expected}' in last


OPTIONS = re.findall(r'^\| [^|]* \| `([a-z]\w+=.*?)`.* \|$', DOCUMENT.read_text(), re.MULTILINE)


@pytest.mark.parametrize('options', OPTIONS)
def test_the_options_of_the_document_are_options(options):
    """Each makes a task of some type."""
    arguments = eval(f'dict({options})')
    names = tuple('abc'[:len(arguments.get('palette', arguments.get('values', 'abc')))])
    kinds = ['Depth'] if isinstance(arguments.get('ignore', (0,))[0], float) or not (
        {'values', 'ignore', 'palette'} & set(arguments)) else ['Semseg']
    for kind in kinds:
        extra = dict(class_names=names) if kind == 'Semseg' else {}
        assert TASKS.build(dict(type=kind, **arguments, **extra)).loss_weight == 1
