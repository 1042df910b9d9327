"""Users' transforms that depend on earlier calls, or that seed the generators."""

import random

import numpy as np
import pytest
import torch

from mtpsl.datasets.transforms.probes.own_state import tell_states
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), normal=dict(type='Normal')))


class Own:
    """Calls a function of the image and itself."""

    def __init__(self, change) -> None:
        self.change, self.calls, self.last = change, 0, None

    def __call__(self, results: dict) -> dict:
        return results | dict(img=self.change(self, results['img']))


def growing(own: Own, image: np.ndarray) -> np.ndarray:
    own.calls += 1
    return image // own.calls


def mixing(own: Own, image: np.ndarray) -> np.ndarray:
    own.last, before = np.random.randint(0, 255, image.shape, np.uint8), own.last
    return image if before is None else image // 2 + before // 2


def seeding(seed):
    def change(own: Own, image: np.ndarray) -> np.ndarray:
        seed(0)
        return image
    return change


def failing(own: Own, image: np.ndarray) -> np.ndarray:
    raise RuntimeError


@pytest.mark.parametrize('change, told', [
    (growing, 'keeps something from call to call'), (mixing, 'keeps something from call to call'),
    (seeding(np.random.seed), 'seeds a random generator'),
    (seeding(random.seed), 'seeds a random generator'),
    (seeding(torch.manual_seed), 'seeds a random generator'), (failing, ''),
    (lambda own, image: image // 2, ''),
    (lambda own, image: image // np.random.randint(1, 9), ''),
    (lambda own, image: np.uint8(image * random.random() * float(torch.rand(1))), '')])
def test_what_seed_and_image_do_not_say(change, told, warned):
    own = Own(change)
    tell_states([own, TRANSFORMS.build(dict(type='mtpsl.RandomFlip'))], TASKS)
    assert [told in text and 'the transform ' in text for text in warned] == [True] * bool(told)
    assert own.calls == 0 and own.last is None
