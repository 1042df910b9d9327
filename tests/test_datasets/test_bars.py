"""Labels that say something of the bars of letterboxed images."""

import cv2
import numpy as np
import pytest

from mtpsl.data_prep.synthetic import render_scene
from mtpsl.datasets import FolderDataset
from mtpsl.datasets.checks.bars import Bars, plain_bars
from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.tasks import build_tasks

from .conftest import TEST

TASKS = dict(semseg=dict(type='Semseg', class_names=('wall', 'background', *'abcdefghijklmnopqr')),
             saliency=dict(type='Saliency'), normal=dict(type='Normal'), depth=dict(type='Depth'))


def padded(values: np.ndarray, fill: float, top: int = 8, below: int = 8) -> np.ndarray:
    edges = [(top, below), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(values, edges, constant_values=fill)


@pytest.mark.parametrize('task, fill, told', [
    ('semseg', 0, True), ('semseg', 1, False), ('semseg', 255, False), ('saliency', 0, False),
    ('saliency', 1, True), ('depth', 0, False), ('depth', 3, True), ('normal', 0, False),
    ('normal', 3 ** -0.5, True)])
def test_what_labels_say_of_bars(task: str, fill: float, told: bool) -> None:
    bars = Bars(build_tasks(TASKS)[task])
    for seed in range(8):
        assert bars.told() == ''  # too few
        scene = render_scene(seed, 48, 64)
        image, label = padded(scene.image, 114), padded(getattr(scene, task), fill)
        if seed % 2:
            image, label = image.swapaxes(0, 1), label.swapaxes(0, 1)
        bars.add(plain_bars(image), label)
    text = bars.told()
    assert told == ('hold one value on the plain bars at the borders of their images, 25% of each, '
                    'in 8 of 8' in text)
    for _ in range(3):  # in a fifth at most there may be none
        assert bool(bars.told()) == told
        bars.add(plain_bars(scene.image), getattr(scene, task))
    assert bars.told() == ''


def test_bars_that_say_several_things_or_have_another_size() -> None:
    bars = Bars(build_tasks(TASKS)['depth'])
    scene = render_scene(0, 48, 64)
    plain = plain_bars(padded(scene.image, 114))
    for _ in range(8):
        bars.add(plain, padded(scene.depth, 3, 8, 0))  # less high than the image
        bars.add(plain, np.linspace(1, 2, 64 * 64, dtype=np.float32).reshape(64, 64))
    assert bars.told() == ''


@pytest.mark.parametrize('top, below, found', [(8, 0, 0), (0, 8, 8), (4, 4, 8), (1, 0, 0)])
def test_bars_are_at_the_borders(top: int, below: int, found: int) -> None:
    """One at the top alone may be a sky."""
    image = padded(render_scene(0, 48, 64).image, 30, top, below)
    noisy = image + np.random.default_rng(0).integers(0, 2, image.shape, np.uint8)  # of JPEG
    for one in (image, noisy):
        bars = plain_bars(one)
        assert (0 if bars is None else bars[:, 0].sum()) == found
    assert plain_bars(np.full_like(image, 114)) is None


def test_training_and_check_tell(tmp_path, warned) -> None:
    for folder in ('images', 'semseg'):
        (tmp_path / folder).mkdir()
    for number in range(10):
        scene = render_scene(number, 48, 64)
        cv2.imwrite(str(tmp_path / f'images/{number}.png'), padded(scene.image, 114))
        cv2.imwrite(str(tmp_path / f'semseg/{number}.png'), padded(scene.semseg % 20, 0))
    config = dict(data_root=str(tmp_path), tasks=dict(semseg=TASKS['semseg']))
    look_at_labels(FolderDataset(pipeline=TEST, **config))
    assert 'hold one value on the plain bars' in ' '.join(warned)
    report = check_configs(dict(train=dict(type='mtpsl.FolderDataset', **config)))
    assert 'semseg on bars' in [one.what for one in report.findings]
    assert any('make it unknown there' in one for one in report.remarks)
