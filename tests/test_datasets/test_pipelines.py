"""The training pipeline as a whole."""

import subprocess
import sys

import numpy as np
import torch

from mtpsl.datasets import PASCALContext
from mtpsl.registry import TRANSFORMS

from .conftest import IDS, TASKS

TRAIN = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.5, 2.0)),
    dict(type='RandomCrop', size=(32, 32)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]


def test_training_pipeline_gives_one_sample_for_one_seed(pascal):
    pipeline = [TRANSFORMS.build(step) for step in TRAIN]
    dataset = PASCALContext(tasks=TASKS, data_root=str(pascal), split='train', pipeline=pipeline)

    def draw(seed):
        np.random.seed(seed)
        packed = dataset[0]
        return packed['inputs'], dict(packed['data_samples'].gt.items())

    (image, gt), (same_image, same_gt) = draw(3), draw(3)
    assert image.shape[0] == 3 and max(image.shape[1:]) <= 32
    assert set(gt) == set(TASKS) and all(v.shape[1:] == image.shape[1:] for v in gt.values())
    assert torch.equal(image, same_image)
    assert all(torch.equal(gt[name], same_gt[name]) for name in TASKS)
    assert any(not torch.equal(image, draw(seed)[0]) for seed in (4, 5))


def test_augmented_labels_still_lie_on_their_image(pascal):
    """The image's green channel is 4 c, the semseg c // 3: they agree after every transform."""
    pipeline = [TRANSFORMS.build(step) for step in TRAIN if 'Photo' not in step['type']]
    dataset = PASCALContext(tasks=TASKS, data_root=str(pascal), split='train', pipeline=pipeline)
    np.random.seed(1)
    for k in range(30):
        packed = dataset[k % len(IDS)]
        gt = packed['data_samples'].gt
        column = packed['inputs'][1].float() / 4
        assert (gt.semseg[0].float() - column / 3 + 0.5).abs().max() < 1.2
        known = gt.normal[0] != 0  # on columns below 20
        assert column[known].numel() == 0 or column[known].max() < 21
        assert (gt.saliency[0] == (column > 29.5)).float().mean() > 0.9


def test_importing_the_transforms_prints_nothing():
    code = "import mtpsl.datasets; from mtpsl.registry import TRANSFORMS; " \
           "TRANSFORMS.build(dict(type='mmseg.PhotoMetricDistortion'))"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == ''


def test_photometric_distortion_is_the_published_one():
    distortion = TRANSFORMS.build(dict(type='mmseg.PhotoMetricDistortion'))
    assert (distortion.brightness_delta, distortion.hue_delta) == (32, 18)
    assert (distortion.contrast_lower, distortion.contrast_upper) == (0.5, 1.5)
    assert (distortion.saturation_lower, distortion.saturation_upper) == (0.5, 1.5)
