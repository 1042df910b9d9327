"""Own transforms that zoom or stretch images."""

import cv2
import numpy as np
import pytest

from mtpsl.datasets.transforms.probes.probe_scale import stretch_of, zoom_of


def resized(size, by=(1, 1)):
    """A user's step: to a (height, width), or by factors of both."""
    def step(results):
        height, width = size or results['img'].shape[:2]
        return results | dict(img=cv2.resize(results['img'], (
            round(width * by[1]), round(height * by[0]))))
    return step


def padded_to_a_square(results):
    height, width = results['img'].shape[:2]
    most = max(height, width)
    return results | dict(img=np.pad(results['img'], (
        (0, most - height), (0, most - width), (0, 0))))


def padded_by_the_border(results):
    height, width = results['img'].shape[:2]
    most = max(height, width)
    return results | dict(img=np.pad(results['img'], (
        (0, most - height), (most - width, 0), (0, 0)), mode='edge'))


def in_perspective(results):
    height, width = results['img'].shape[:2]
    corners = np.float32([(0, 0), (width, 0), (0, height), (width, height)])
    moved = corners + np.random.uniform(-0.2, 0.2, (4, 2)) * (width, height)
    return results | dict(img=cv2.warpPerspective(results['img'], cv2.getPerspectiveTransform(
        corners, moved.astype(np.float32)), (width, height)))


def narrowed(results):
    left = np.random.randint(results['img'].shape[1] - 20)
    return results | dict(img=results['img'][:, left:left + 20])


def cut(results):
    height, width = results['img'].shape[:2]
    top, left = np.random.randint(height // 3), np.random.randint(width // 3)
    return results | dict(img=results['img'][top:top + height // 2, left:left + width // 2])


def turned(results):
    return results | dict(img=np.rot90(results['img'], np.random.randint(4)))


def jittered(results):
    return resized(None, np.random.uniform(0.75, 1.33, 2))(results)


@pytest.mark.parametrize('size', [(48, 64), (375, 500), (900, 600), (1024, 2048)])
@pytest.mark.parametrize('step, wide', [
    (resized(None, (1, 2)), 2), (resized(None, (1.5, 1)), 2 / 3), (resized(None, (0.5, 0.5)), 1),
    (resized((128, 128)), None), (padded_to_a_square, 1),
    (padded_by_the_border, 1), (in_perspective, 1), (cut, 1), (turned, 1), (jittered, 1)])
def test_images_that_are_stretched(step, wide, size):
    wide = wide or size[0] / size[1]  # of a square
    assert stretch_of([step], size) == pytest.approx(wide, rel=0.12)
    squares = [padded_to_a_square, resized((128, 128))]
    assert stretch_of(squares, size) == pytest.approx(1, rel=0.12)
    assert stretch_of([step, resized(None, (1, 2))], size) == pytest.approx(2 * wide, rel=0.15)
    assert stretch_of([], size) == 1


def needing_labels(results):
    return results['gt']['depth']


@pytest.mark.parametrize('step', [needing_labels, narrowed])
def test_steps_that_do_not_tell_whether_they_stretch(step):
    assert stretch_of([step, resized(None, (1, 2))], (300, 400)) == 1
    assert zoom_of(step) == (1, 1)
