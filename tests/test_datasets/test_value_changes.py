"""What pipelines make of the values of labels."""

import numpy as np
import pytest

from mtpsl.datasets.transforms import RandomScale
from mtpsl.datasets.transforms.value_changes import changed_values, other_values, zoomed_measures
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
        label = self.change(results['gt'][self.task].copy())
        return results | dict(gt=results['gt'] | {self.task: label})


def merged(label: np.ndarray) -> np.ndarray:
    label[label == 5] = 3
    return label


def thinned(label: np.ndarray) -> np.ndarray:
    label[label == 5] = 255
    return label


@pytest.mark.parametrize('task, change, told', [
    ('semseg', merged, 'makes 3 of 5'), ('semseg', thinned, None),
    ('depth', lambda label: label.astype(np.uint8).astype(np.float32), 'makes 1 of 1.3'),
    ('depth', lambda label: label / label.max(), 'makes 0.1646 of 1.3'),
    ('depth', lambda label: np.where(label > 4, 0, label), None),
    ('depth', lambda label: label, None),
    ('normal', lambda label: label * np.float32([1, -1, 1]), '-0.'),
    ('normal', lambda label: label * 0, None),
    ('depth', lambda label: 1 / 0, None)])  # told of when an image is read
def test_values_that_become_others(task, change, told):
    steps = [*READ, Own(task, change)]
    found = changed_values(steps, TASKS)
    assert set(found) == ({task} if told else set())
    assert not told or 'Own makes ' in found[task] and told in found[task]
    one, other = (steps, TASKS), (READ, TASKS)
    assert [f'task {task} are other ones in training, where' in text
            for text in other_values([one], [other])] == [True] * bool(told)
    assert [f'task {task} are other ones in evaluation, where' in text
            for text in other_values([other], [one])] == [True] * bool(told)
    assert not list(other_values([one], [one])) and not list(other_values([other], [other]))


def test_two_ways_to_change_are_both_told():
    first, second = ([*READ, Own('depth', change)] for change in (np.sqrt, np.square))
    told, = other_values([(first, TASKS)], [(second, TASKS)])
    assert 'makes 1.14 of 1.3, than in evaluation, where' in told and 'makes 1.69 of 1.3' in told


def test_what_moves_or_is_of_this_package_is_not_judged():
    moving = Own('depth', np.square)
    moving.moves = 'image and labels'
    assert not changed_values([*READ, moving, TRANSFORMS.build(dict(type='mtpsl.RandomFlip'))],
                              TASKS)


def test_measures_of_a_zoomed_evaluation():
    told = list(zoomed_measures([*READ, RandomScale((0.5, 0.5))], TASKS))
    assert len(told) == 2 and 'makes a depth of 1 in the files 2:' in told[0]
    assert 'zooms images by 0.5, and makes a disparity of 1 in the files 0.5:' in told[1]
    assert not list(zoomed_measures([*READ, RandomScale((1, 1))], TASKS))
    assert not list(zoomed_measures([*READ, RandomScale((0.5, 2))], TASKS))  # told as random
