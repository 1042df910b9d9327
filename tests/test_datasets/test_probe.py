"""Transforms that take image and labels apart are refused when the pipeline is built."""

import cv2
import mmseg.datasets.transforms
import numpy as np
import pytest

from mtpsl.datasets.transforms import PackMultiTaskInputs, RandomFlip

from .probing import READ, TASKS, check, half, of_all, of_image


def warp(image):
    height, width = image.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners * np.float32([1, 0.95]) + np.float32([[6, 4], [-5, 0], [0, 0], [0, 0]])
    return cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, moved),
                               (width, height))


class Pasting:
    """Puts a part of the image before into the image, without its labels."""

    def __init__(self, share):
        self.share, self.last = share, None

    def __call__(self, results):
        image, before = results['img'].copy(), self.last
        self.last = results['img']
        if before is not None and before.shape == image.shape and np.random.rand() < 0.5:
            height, width = (round(side * self.share) for side in image.shape[:2])
            image[:height, :width] = before[:height, :width]
        return results | dict(img=image)


def crop_of_odd_sides(results):
    """Right for even sides."""
    height = results['img'].shape[0]
    top = 4 * (height % 2)
    return results | dict(img=results['img'][:height - 4], img_shape=(height - 4, 0), gt={
        name: label[top:height - 4 + top] for name, label in results['gt'].items()})


@pytest.mark.parametrize('step, words', [
    (Pasting(1.0), 'misaligns image and labels'),
    (crop_of_odd_sides, 'misaligns image and labels'),
    (lambda results: half(results, of_image(lambda image: image[:, ::-1])), 'lambda> misaligns im'),
    (of_image(lambda image: np.roll(image, 4, 1)), 'misaligns image and labels'),
    (of_image(lambda image: np.rot90(image, 2)), 'misaligns image and labels'),
    (of_image(warp), 'misaligns image and labels'),
    (lambda results: results | dict(gt={k: v[:, ::-1] for k, v in results['gt'].items()}),
     'misaligns image and labels'),
    (lambda results: results | dict(gt=results['gt'] | dict(depth=results['gt']['depth'][::-1])),
     r'misaligns image and labels \(depth\): it changes one of them only'),
    (lambda results: half(results, of_all(lambda pixels: pixels[:, ::-1])),
     'moves the normal label without changing its vectors, which are 90 degrees off: mirroring'),
    (lambda results: results | dict(gt=results['gt'] | dict(normal=-results['gt']['normal'])),
     'moves the normal label without changing its vectors')])
def test_what_moves_one_of_them_is_refused(step, words):
    with pytest.raises(ValueError, match='^the transform .*' + words):
        check(step)


def shadow(image):
    return (image * np.linspace(0, 1, image.shape[1])[:, None]).astype(np.uint8)


def noise(image):
    return (image + np.random.normal(0, 90, image.shape)).clip(0, 255).astype(np.uint8)


class Colours(mmseg.datasets.transforms.PhotoMetricDistortion):
    """Not known by its name."""


@pytest.mark.parametrize('step', [
    Colours(), dict(type='mtpsl.ImageOnly', transforms=[
        dict(type='mmseg.RandomCutOut', prob=0.5, n_holes=(1, 4),
             cutout_ratio=[(0.2, 0.2), (0.5, 0.5)])]),
    dict(type='mtpsl.ImageOnly', transforms=[of_image(lambda image: image // 2)]),
    *map(of_image, (shadow, noise, lambda image: 255 - image, lambda image: image * 0,
                    lambda image: image[..., ::-1], lambda image: np.where(image > 99, 99, image),
                    lambda image: cv2.GaussianBlur(image, (0, 0), 5)))])
def test_colours_may_change(step):
    check(step)


def test_what_moves_all_alike_may_be_anyones_own():
    class Flip(RandomFlip):
        """Ours by another name."""

    def shrink(results):
        height, width = (round(side * 0.6) for side in results['img'].shape[:2])
        return results | dict(
            img=cv2.resize(results['img'], (width, height)),
            gt={name: results['tasks'][name].resize(label, (height, width))
                for name, label in results['gt'].items()})

    check(Flip(), shrink)
    # In two steps, which only together are right.
    check(of_image(lambda image: image[:, ::-1]), lambda results: results | dict(
        gt={name: results['tasks'][name].flip(label) for name, label in results['gt'].items()}))
    # Labels that are read later are fitted to the image, but not mirrored.
    check(read=[READ[0], of_image(lambda image: cv2.resize(image, (252, 180))), READ[1]])
    with pytest.raises(ValueError, match='misaligns image and labels'):
        check(read=[READ[0], of_image(lambda image: image[:, ::-1]), READ[1]])


def test_after_packing_and_in_image_only():
    with pytest.raises(ValueError, match='lambda> misaligns image and labels'):
        check(PackMultiTaskInputs(), lambda packed: packed | dict(inputs=packed['inputs'].flip(2)))
    with pytest.raises(ValueError, match='ImageOnly misaligns image and labels'):
        check(dict(type='mtpsl.ImageOnly', transforms=[of_image(lambda image: image[::-1])]))


def test_trials_leave_the_transform_and_the_random_states_alone():
    class Counts:
        seen = 0

        def __call__(self, results):
            self.seen += 1
            return results

    step = Counts()
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    check(step)
    assert step.seen == 0 and np.random.rand() == expected
    check(lambda results: 1 / 0)  # what cannot be tried tells nothing
    check(lambda results: None)


def test_sizes_are_compared_where_a_sample_is_packed():
    """Also where the probe cannot know, such as a transform of one image only."""
    labels = dict(semseg=np.zeros((4, 6), np.uint8), depth=np.zeros((4, 5), np.float32))
    results = dict(img=np.zeros((4, 6, 3), np.uint8), gt=labels, tasks=TASKS)
    with pytest.raises(ValueError, match='^PackMultiTaskInputs: got an image of 4 x 6 with a depth '
                       'label of 4 x 5; a transform before it changed one without the other'):
        PackMultiTaskInputs(()).transform(results)
