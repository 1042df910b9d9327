"""Own transforms that leave the values of labels as they should not be."""

import cv2
import numpy as np
import pytest
import torch

from mtpsl.datasets.transforms import PackMultiTaskInputs
from mtpsl.datasets.transforms.probes.probe_scale import zoom_of
from mtpsl.tasks import build_tasks
from mtpsl.tasks.semseg import Semseg

from .probing import TASKS, check, half, of_all


def affine(degrees=0.0, zoom=1.0, turn=False, divide=False, ids=cv2.INTER_NEAREST, fill=255,
           depth=cv2.INTER_NEAREST, spread=0.0, task_names=None):
    """A transform of a user's own: turns and zooms image and labels, values too if it is told."""
    def change(results):
        factor = zoom + spread * np.random.uniform(-1, 1)
        height, width = results['img'].shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, factor)

        def moved(pixels, interpolation, value):
            return cv2.warpAffine(pixels, matrix, (width, height), flags=interpolation,
                                  borderValue=[value] * 4)
        gt = {}
        for name, label in results['gt'].items():
            if label.dtype == np.uint8:
                gt[name] = moved(label, ids, fill)
            elif label.ndim == 2:
                gt[name] = moved(label, depth, 0) / (factor if divide else 1)
            else:
                normal, angle = moved(label, cv2.INTER_LINEAR, 0), np.radians(degrees)
                if turn:
                    x, y = normal[..., 0].copy(), normal[..., 1].copy()
                    normal[..., 0] = np.cos(angle) * x - np.sin(angle) * y
                    normal[..., 1] = np.sin(angle) * x + np.cos(angle) * y
                gt[name] = normal
        return results | dict(img=moved(results['img'], cv2.INTER_LINEAR, 0), gt=gt)
    return change


@pytest.mark.parametrize('options', [
    dict(), dict(degrees=30, turn=True), dict(degrees=-75, turn=True), dict(degrees=2),
    dict(zoom=1.5, divide=True), dict(zoom=1.5, spread=0.4, divide=True),
    dict(degrees=20, turn=True, zoom=0.8, spread=0.2, divide=True),
    dict(zoom=0.5)])  # of all images: metres may stay
def test_values_that_are_moved_rightly(options, warned):
    check(affine(**options))
    assert not warned


@pytest.mark.parametrize('options, words', [
    (dict(degrees=30), 'moves the normal label without .*, which are 30 degrees off'),
    (dict(degrees=-8), 'moves the normal label .* are 8 degrees'),
    (dict(degrees=30, turn=True, ids=cv2.INTER_LINEAR), 'blends the numbers of the semseg label: '),
    (dict(degrees=30, turn=True, depth=cv2.INTER_LINEAR), 'blends known and unknown .* depth lab')])
def test_values_that_are_moved_wrongly(options, words):
    with pytest.raises(ValueError, match=f'^the transform .*change {words}'):
        check(affine(**options))


def test_what_may_be_meant_is_warned_of(warned):
    check(affine(zoom=1.6, spread=0.4))
    text, = warned
    assert 'zooms at random, and turns a depth of 4 into 4.00 at a zoom of' in text
    check(affine(degrees=30, turn=True, fill=0))
    assert 'writes 0 into the semseg label outside of the image' in warned[1]


def test_turns_by_the_tasks_own_ways(warned):
    def flip_and_turn(results):
        tasks = results['tasks']
        gt = {name: tasks[name].flip(tasks[name].transpose(label))
              for name, label in results['gt'].items()}
        return results | dict(img=np.ascontiguousarray(results['img'].swapaxes(0, 1)[:, ::-1]),
                              gt=gt)
    check(flip_and_turn)
    assert not warned


def test_images_in_double_precision_are_packed_in_single():
    image = np.full((4, 6, 3), 100.0)
    packed = PackMultiTaskInputs(()).transform(dict(img=image, tasks=TASKS))
    assert packed['inputs'].dtype == torch.float32 and (packed['inputs'] == 100).all()


SIDED = build_tasks(dict(semseg=dict(type='Semseg', class_names=(
    'background', 'left arm', 'head', 'right arm'))))


def mirrored(results):
    """Turns the picture round, and exchanges nothing."""
    return results | dict(img=results['img'][:, ::-1], gt={
        name: label[:, ::-1] for name, label in results['gt'].items()})


def by_the_task(results):
    return results | dict(img=results['img'][:, ::-1], gt={
        name: results['tasks'][name].flip(label) for name, label in results['gt'].items()})


@pytest.mark.parametrize('step', [mirrored, lambda results: half(results, mirrored),
                                  of_all(lambda one: one[::-1])])
def test_classes_of_two_sides_are_to_be_exchanged(step):
    with pytest.raises(ValueError, match='mirrors the semseg label and leaves left arm and right '
                       r'arm what they are, .*\.flip exchanges them; .* mirrored=\(\)'):
        check(step, tasks=SIDED)
    check(step, tasks=build_tasks(dict(semseg=dict(
        type='Semseg', class_names=('background', 'left arm', 'head', 'right arm'),
        mirrored=()))))


def exchanged_in_place(results):
    label = results['gt']['semseg'][:, ::-1]
    sides = [label == number for number in (1, 3)]
    label[sides[0]], label[sides[1]] = 3, 1
    return results | dict(img=results['img'][:, ::-1], gt=dict(semseg=label))


def mirrored_in_place(results):
    for one in (results['img'], results['gt']['semseg']):
        one[:] = one[:, ::-1].copy()
    return results


@pytest.mark.parametrize('values', [(0, 3, 2, 1), (10, 11, 12, 13)])
def test_sides_of_files_with_numbers_of_their_own(values):
    tasks = build_tasks(dict(semseg=dict(type='Semseg', class_names=(
        'background', 'left arm', 'head', 'right arm'), values=values)))
    check(by_the_task, tasks=tasks)
    for step in (mirrored, mirrored_in_place):
        with pytest.raises(ValueError, match='leaves left arm and right arm what they are'):
            check(step, tasks=tasks)


def test_a_task_of_ids_of_the_users_own(warned):
    class Ids(Semseg):
        def flip(self, label):
            return 3 - label[:, ::-1]
    task = Ids(class_names=tuple('abcd'))
    task.name = 'ids'
    with pytest.raises(ValueError, match='leaves 0 and 3 what they are'):
        check(of_all(lambda one: one[:, ::-1]), tasks=dict(ids=task))
    Ids.flip = lambda self, label: 1 / 0
    check(of_all(lambda one: one[:, ::-1]), tasks=dict(ids=task))


@pytest.mark.parametrize('step', [
    by_the_task, exchanged_in_place, of_all(lambda one: one[::-1, ::-1]),
    of_all(lambda one: np.roll(one, 80, 1)),
    of_all(np.rot90), of_all(lambda one: one[20:, 60:])])
def test_classes_of_two_sides_that_are_right(step, warned):
    check(step, tasks=SIDED)
    assert not [text for text in warned if 'outside of the image' in text]


@pytest.mark.parametrize('side', [168, 184])
def test_padding_is_no_zoom(side):
    def padded(results):
        height, width = results['img'].shape[:2]
        most = max(height, width) * side // 168
        return results | dict(img=np.pad(results['img'], (
            (0, most - height), (0, most - width), (0, 0))))
    assert zoom_of(padded) == (1, 1)
    low, high = zoom_of(lambda results: results | dict(img=np.kron(
        results['img'], np.ones((2, 2, 1), np.uint8))))
    assert low < 2 < high
