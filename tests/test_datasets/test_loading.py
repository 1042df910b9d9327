"""What is read of an image, and which label maps fit it."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mtpsl.datasets.transforms import LoadImageFromFile, LoadLabels
from mtpsl.tasks import build_tasks

from .conftest import TASKS

ALL_TASKS = build_tasks(TASKS | dict(depth=dict(type='Depth')))


@pytest.mark.parametrize('orientation', [3, 6])
def test_image_is_read_as_stored_whatever_exif_says(tmp_path, orientation):
    path = tmp_path / 'a.jpg'
    rows = np.repeat(np.linspace(0, 250, 24).astype(np.uint8)[:, None], 40, 1)
    picture = Image.fromarray(np.stack([rows] * 3, 2))
    exif = picture.getexif()
    exif[274] = orientation
    picture.save(path, exif=exif, quality=100)
    results = LoadImageFromFile().transform(dict(img_path=str(path)))
    assert results['ori_shape'] == (24, 40)
    np.testing.assert_allclose(results['img'][..., 0], rows, atol=3)
    assert not np.array_equal(cv2.imread(str(path)), results['img'])  # OpenCV's default turns it


def fit(label, size, task='semseg'):
    results = dict(img=np.zeros((*size, 3), np.uint8), tasks=ALL_TASKS,
                   labels={task: (('a.png',), lambda size, png: label)})
    return LoadLabels().transform(results)['gt'][task]


@pytest.fixture(autouse=True)
def png(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new('L', (1, 1)).save('a.png')


@pytest.mark.parametrize('shape, size', [
    ((20, 30), (40, 60)), ((80, 120), (40, 60)), ((20, 30), (41, 61)), ((20, 30), (39, 59)),
    ((41, 60), (40, 60)), ((20, 31), (40, 60))])
def test_up_to_twice_or_half_the_size_fits(shape, size):
    assert fit(np.zeros(shape, np.uint8), size).shape == size


@pytest.mark.parametrize('shape, size', [
    ((1, 1), (64, 64)), ((1, 1), (40, 60)), ((10, 10), (64, 64)), ((18, 27), (40, 60)),
    ((90, 135), (40, 60)), ((20, 32), (40, 60)), ((0, 0), (40, 60)), ((60, 40), (40, 60))])
def test_other_sizes_do_not_fit(shape, size):
    with pytest.raises(ValueError, match=f'cannot use the semseg label a.png: wrong size {shape[0]}'
                       f' x {shape[1]}; the image is {size[0]} x {size[1]}'):
        fit(np.zeros(shape, np.uint8), size)


@pytest.mark.parametrize('task', ALL_TASKS)
def test_map_must_have_the_channels_of_its_task(task):
    shape, wrong = ((4, 6, 3), (4, 6)) if task == 'normal' else ((4, 6), (4, 6, 3))
    assert fit(np.zeros(shape, ALL_TASKS[task].label_dtype), (4, 6), task).shape == shape
    for bad in (wrong, (4, 6, 1), (4,)):
        with pytest.raises(ValueError, match=f'the {task} label a.png: a map must be .H, W.* got'):
            fit(np.zeros(bad, ALL_TASKS[task].label_dtype), (4, 6), task)
