"""What pipelines make of the values of labels."""

import numpy as np
import pytest

from mtpsl.datasets.transforms import MultiView, RandomScale
from mtpsl.datasets.transforms.probes.value_changes import (
    changed_values,
    other_values,
    zoomed_measures,
)
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(semseg=dict(type='Semseg', class_names=tuple('abcdef')),
                         depth=dict(type='Depth'), disparity=dict(type='InverseDepth'),
                         normal=dict(type='Normal')))
READ = [TRANSFORMS.build(dict(type=f'mtpsl.{kind}')) for kind in ('LoadImageFromFile',
                                                                   'LoadLabels')]


class Own:
    """A user's transform of the labels of one task."""

    moves = 'nothing'

    def __init__(self, task: str, change) -> None:
        self.task, self.change = task, change

    def __call__(self, results: dict) -> dict:
        label = self.change(results['gt'][self.task])
        return results | dict(gt=results['gt'] | {self.task: label})


def merged(label: np.ndarray) -> np.ndarray:
    return np.where(label == 5, 3, label).astype(label.dtype)


def in_place(label: np.ndarray) -> np.ndarray:
    label[label == 5] = 3
    return label


def thinned(label: np.ndarray) -> np.ndarray:
    label[label == 5] = 255
    return label


class Colours:
    """Another transform of the user's, of the image."""

    moves = 'nothing'

    def __call__(self, results: dict) -> dict:
        return results | dict(img=results['img'] // 2)


@pytest.mark.parametrize('task, change, told', [
    ('semseg', merged, '3 of 5'), ('semseg', in_place, '3 of 5'), ('semseg', thinned, None),
    ('depth', lambda label: label.astype(np.uint8).astype(np.float32), '1 of 1.3'),
    ('depth', lambda label: label / label.max(), '0.1646 of 1.3'),
    ('depth', lambda label: np.where(label > 4, 0, label), None),
    ('depth', lambda label: np.minimum(label, 5), '5 of 5'),
    ('depth', lambda label: label * np.linspace(1.1, 1.3, label.shape[1]), '1.43 of 1.3'),
    ('depth', lambda label: label, None),
    ('normal', lambda label: label * np.float32([1, -1, 1]), '-0.'),
    ('normal', lambda label: label * 0, None),
    ('depth', lambda label: 1 / 0, None)])  # told of when an image is read
def test_values_that_become_others(task, change, told):
    steps = [*READ, Own(task, change)]
    found = changed_values(steps, TASKS)
    assert set(found) == ({task} if told else set())
    assert not told or told in found[task].text
    one, other = (steps, TASKS), (READ, TASKS)
    for learned, tested in ((one, other), (other, one)):
        assert [f'task {task} are other ones in training, where' in text
                for text in other_values([learned], [tested])] == [True] * bool(told)
    assert not list(other_values([other], [other]))
    # Multiplied alike in both: predictions would be called metres.
    assert [f'task {task}, in training and in evaluation' in text for text in other_values(
        [one], [one])] == [True] * (told == '0.1646 of 1.3')
    # One of several sets, in views, and beside others of the user's transforms.
    assert not list(other_values([one, other], [other])) and not list(
        other_values([one, other], [one]))
    views = MultiView([[dict(type='mtpsl.PackMultiTaskInputs')], [
        dict(type='mtpsl.PackMultiTaskInputs')]])
    for alike in ([*steps, views], [READ[0], Colours(), *steps[1:]]):
        assert not any('other ones in training' in text
                       for text in other_values([(alike, TASKS)], [one]))
    assert not list(other_values([([*READ, Colours()], TASKS)], [other]))


def test_numbers_of_files_are_no_change():
    tasks = build_tasks(dict(
        semseg=dict(type='Semseg', class_names=('a', 'b', 'c'), values=(0, (1, 2), (3, 4, 5))),
        boundary=dict(type='Boundary', values=(1, 0))))
    assert changed_values([*READ, Colours()], tasks) == {}
    assert changed_values([*READ, Own('semseg', lambda one: np.where(one == 2, 1, one))],
                          tasks) == dict(semseg=('1 of 2', None))


def test_two_ways_to_change_are_both_told():
    first, second = ([*READ, Own('depth', change)] for change in (np.sqrt, np.square))
    told, = other_values([(first, TASKS)], [(second, TASKS)])
    assert 'a transform makes 1.14 of 1.3, than in evaluation, where a transform makes 1.69' in told


def test_what_moves_or_is_of_this_package_is_not_judged():
    moving = Own('depth', np.square)
    moving.moves = 'image and labels'
    assert not changed_values([*READ, moving, TRANSFORMS.build(dict(type='mtpsl.RandomFlip'))],
                              TASKS)


def test_measures_of_a_zoomed_evaluation():
    told = list(zoomed_measures([*READ, RandomScale((0.5, 0.5))], TASKS))
    assert len(told) == 2 and 'makes 2.6 of 1.3 in the depth files:' in told[0]
    assert 'zooms images by 0.5, and makes 0.65 of 1.3 in the disparity files:' in told[1]
    assert not list(zoomed_measures([*READ, RandomScale((1, 1))], TASKS))
    assert not list(zoomed_measures([*READ, RandomScale((0.5, 2))], TASKS))  # told as random
