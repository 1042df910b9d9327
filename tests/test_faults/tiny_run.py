"""A handful of images with labels for two tasks, and a config that trains on them in a second."""

from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
BASE = ROOT / 'configs/_base_'
TASKS = dict(semseg=dict(type='Semseg', class_names=('a', 'b', 'c')),
             saliency=dict(type='Saliency'))
CONFIG = """\
_base_ = ['{base}/models/mtl_small.py', '{base}/schedules/adam_demo.py',
          '{base}/default_runtime.py']
tasks = {tasks}
data_preprocessor = dict(size=(32, 32))
model = dict(backbone=dict(stem_channels=8, base_channels=8),
             neck=dict(in_channels=(8, 16, 32, 64), out_channels=8), decoder=dict(channels=8))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='RandomFlip'),
            dict(type='PackMultiTaskInputs')]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(type='FolderDataset', data_root='{root}', split='train', pipeline=pipeline))
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='SeededSampler', shuffle=False),
    dataset=dict(type='FolderDataset', data_root='{root}', split='val', pipeline=pipeline))
test_dataloader = dict(val_dataloader)
val_evaluator = dict(type='MultiTaskMetric')
test_evaluator = dict(type='MultiTaskMetric')
train_cfg = dict(max_epochs=1)
"""


def write_images(root: Path, images: int = 6, size: tuple[int, int] = (32, 32)) -> Path:
    """Images 0, 1, ... of both splits with semseg and saliency; noise, so that files are large."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for folder in ('images', 'semseg', 'saliency'):
            (root / split / folder).mkdir(parents=True)
        for number in range(images):
            def write(folder: str, pixels: np.ndarray, suffix: str = 'png', split: str = split,
                      number: int = number) -> None:
                cv2.imwrite(str(root / f'{split}/{folder}/{number}.{suffix}'), pixels)
            write('images', rng.integers(0, 255, (*size, 3), np.uint8), 'jpg')
            write('semseg', rng.integers(0, 3, size, np.uint8))
            write('saliency', rng.integers(0, 2, size, np.uint8) * 255)
    return root


def write_config(path: Path, root: Path, *lines: str) -> Path:
    """The config with more lines at its end."""
    text = CONFIG.format(base=BASE, root=root, tasks=TASKS)
    path.write_text('\n'.join([text, *lines]) + '\n')
    return path


def truncate(path: Path) -> None:
    """What a full disk or an interrupted copy leaves."""
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
