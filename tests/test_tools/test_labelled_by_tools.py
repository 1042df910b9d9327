"""From three labelling tools to a trained model: semseg of labelme, parsing of CVAT, masks of COCO.

Each labels some of the images of one folder, on which a ball and a block are painted.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from in_process import load_tool, running_here
from PIL import Image, ImageDraw
from test_conversion import tool_files as files

from .conftest import ROOT

SIZE = (64, 96)
CONFIG = """
_base_ = ['{base}/models/diffusionmtl_small.py', '{base}/schedules/adam_demo.py',
          '{base}/default_runtime.py']
model = dict(backbone=dict(stem_channels=8, base_channels=8),
             neck=dict(in_channels=(8, 16, 32, 64), out_channels=8), decoder=dict(channels=8),
             diffusion=dict(channels=8))
data_preprocessor = dict(size=(64, 96))
tasks = dict(semseg=dict(type='Semseg', class_names=('background', 'ball', 'block')),
             parsing=dict(type='Parsing'), saliency=dict(type='Saliency'))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadLabels'),
            dict(type='PackMultiTaskInputs')]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(type='FolderDataset', data_root='{root}', split='train', pipeline=pipeline))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='SeededSampler', shuffle=False),
    dataset=dict(type='FolderDataset', data_root='{root}', split='val', pipeline=pipeline))
test_dataloader = dict(val_dataloader)
val_evaluator = dict(type='MultiTaskMetric', workers=0)
test_evaluator = dict(type='MultiTaskMetric', workers=0)
train_cfg = dict(max_epochs=1, val_begin=2)
"""


def paint(folder: Path, split: str) -> list[tuple[str, tuple, tuple]]:
    """Six photos; name, centre of the ball (radius 12) and box of the block of each."""
    folder.mkdir(parents=True)
    found, chance = [], np.random.default_rng(len(split))
    for number in range(6):
        ball = (int(chance.integers(14, 34)), int(chance.integers(14, 50)))
        left, top = (int(chance.integers(low, high)) for low, high in ((52, 70), (4, 34)))
        block, name = (left, top, left + 20, top + 26), f'{split}{number}.png'
        picture = Image.new('RGB', SIZE[::-1], (90, 140, 90))
        draw = ImageDraw.Draw(picture)
        draw.ellipse([c + d for d in (-12, 11) for c in ball], 'crimson')
        draw.rectangle([left, top, left + 19, top + 25], 'navy')
        picture.save(folder / name)
        found.append((name, ball, block))
    return found


def annotate(raw: Path, photos: list[tuple[str, tuple, tuple]]) -> None:
    """Labelme knows the first four photos, CVAT the last four, COCO the odd ones."""
    for name, ball, block in photos[:4]:
        files.labelme(raw / 'labelme', name, ('ball', 'circle', [ball, [ball[0] + 12, ball[1]]]),
                      ('block', 'polygon', files.corners(block)), size=SIZE)
    files.cvat(raw / 'cvat', {
        name: f'<ellipse label="head" cx="{x}" cy="{y}" rx="12" ry="12"/>'
              f'<polygon label="torso" points="{files.cvat_points(block)}"/>'
        for name, (x, y), block in photos[2:]}, SIZE)
    files.coco(raw / 'coco.json', [name for name, _, _ in photos[1::2]],
               [(number, 'thing', files.coco_polygon(block))
                for number, (_, _, block) in enumerate(photos[1::2])], ('thing',), SIZE)


def labels(raw: Path, root: Path, config: Path) -> None:
    tool = load_tool('dataset_converters/labels.py')
    for kind, source, task, *more in (('labelme', 'labelme', 'semseg'), ('cvat', 'cvat', 'parsing'),
                                      ('coco', 'coco.json', 'saliency', '--map', 'thing=yes')):
        tool.main(['--from', kind, str(raw / source), str(root), '--config', str(config), '--task',
                   task, '--images', str(raw / 'photos'), '--workers', '1', *more])


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp('tools')
    (place / 'c.py').write_text(CONFIG.format(base=ROOT / 'configs/_base_', root=place / 'data'))
    for split in ('train', 'val'):
        annotate(place / split, paint(place / split / 'photos', split))
        labels(place / split, place / 'data' / split, place / 'c.py')
    return place


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    with running_here():
        yield


def test_labels_lie_where_the_things_are(place):
    for split in ('train', 'val'):
        data = place / 'data' / split
        assert {task: len(list((data / task).glob('*.png'))) for task in (
            'images', 'semseg', 'parsing', 'saliency')} == dict(images=6, semseg=4, parsing=4,
                                                                saliency=3)
        for path in sorted((data / 'images').iterdir()):
            pixels = np.array(Image.open(path)).astype(int)
            block, ball = pixels[..., 2] > 120, (pixels[..., 0] > 180)
            for task, ids in (('semseg', (1, 2)), ('parsing', (1, 2)), ('saliency', (0, 255))):
                file = data / task / path.name
                if file.exists():
                    label = np.array(Image.open(file))
                    assert (label[block] == ids[1]).all() and (label == ids[1]).sum() == 520
                    assert (label[ball] == ids[0]).mean() > 0.97


def test_a_model_is_trained_and_tested_on_them(place, tmp_path, capfd):
    load_tool('analysis_tools/check_dataset.py').main([str(place / 'c.py'), '--sample', 'all'])
    assert 'is as it should be' in capfd.readouterr().out
    load_tool('train.py').main([str(place / 'c.py'), '--work-dir', str(tmp_path)])
    said = capfd.readouterr()
    assert '6 images. Labelled for semseg 4, parsing 4, saliency 3' in said.out + said.err
    load_tool('test.py').main([str(place / 'c.py'), str(tmp_path / 'epoch_1.pth'), '--work-dir',
                               str(tmp_path)])
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert {'semseg/mIoU', 'parsing/mIoU', 'saliency/maxF'} <= set(metrics)
