"""How far classes tell the colours of images."""

import numpy as np
import pytest

from mtpsl.datasets.checks.contradictions import compare_labels
from mtpsl.datasets.checks.label_look import LabelLook
from mtpsl.tasks import build_tasks
from mtpsl.tasks.class_colours import STEP, ClassColours
from mtpsl.tasks.seen import Seen

TASK = build_tasks(dict(semseg=dict(type='Semseg', class_names=tuple('abcd'))))['semseg']
COLOURS = np.random.default_rng(9).integers(0, 256, (4, 3))


def pairs(number: int, share: float, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Photos of four fields, with so much of the colours of their classes drawn on them."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(number):
        label = rng.integers(0, 4, (2, 2)).repeat(20, 0).repeat(20, 1).astype(np.uint8)
        photo = rng.integers(0, 256, (2, 2, 3)).repeat(20, 0).repeat(20, 1) * 0.5 + rng.normal(
            64, 30, (40, 40, 3))
        image = (1 - share) * photo + share * COLOURS[label]
        label[:4] = 255
        found.append((np.clip(image, 0, 255).astype(np.uint8), label))
    return found


@pytest.mark.parametrize('share', [0, 0.3, 1])
def test_the_share_is_that_of_an_analysis_of_variance(share):
    colours, half, other = ClassColours(), ClassColours(), ClassColours()
    made = pairs(6, share)
    for number, (image, label) in enumerate(made):
        colours.add(image, label, 255)
        (half if number % 2 else other).add(image, label, 255)
    half.include(other)
    pixels = np.concatenate([image[::STEP, ::STEP].reshape(-1, 3) for image, _ in made]) / 1.0
    ids = np.concatenate([label[::STEP, ::STEP].ravel() for _, label in made])
    pixels, ids = pixels[ids < 255], ids[ids < 255]
    within = sum(((pixels[ids == one] - pixels[ids == one].mean(0)) ** 2).sum()
                 for one in np.unique(ids))
    expected = 1 - within / ((pixels - pixels.mean(0)) ** 2).sum()
    assert colours.explained == pytest.approx(expected) == half.explained
    assert (share == 1) == (colours.explained > 0.999) and colours.images == half.images == 6


def test_nothing_and_one_colour_explain_nothing():
    colours = ClassColours()
    assert colours.explained == 0
    colours.add(np.full((9, 9, 3), 7, np.uint8), np.zeros((9, 9), np.uint8), 255)
    colours.add(np.full((9, 9, 3), 7, np.uint8), np.full((9, 9), 255, np.uint8), 255)
    assert colours.explained == 0 and colours.images == 2


@pytest.mark.parametrize('learned, tested, number, told', [
    (0.7, 0, 12, 'explain'), (0, 0.7, 12, 'explain'), (0, 0, 12, ''), (0.7, 0.7, 12, ''),
    (0.7, 0, 7, '')])
def test_labels_that_are_drawn_on_the_images_of_one_part(learned, tested, number, told):
    parts = []
    for share, seed in ((learned, 0), (tested, 1)):
        seen = Seen()
        for image, label in pairs(number, share, seed):
            seen.add(label, 255)
            seen.colours.add(image, label, 255)
        parts.append(dict(semseg=(TASK, seen)))
    found = ' '.join(compare_labels(*parts))
    assert told in found and bool(found) == bool(told)
    assert not told or 'were pictures with the labels drawn on them saved as images?' in found


@pytest.mark.parametrize('zero_sum_unknown, told', [(True, ''), (False, 'point to the right')])
def test_normals_that_an_option_makes_unknown_tell_nothing(zero_sum_unknown, told):
    rng = np.random.default_rng(0)
    look = LabelLook(build_tasks(dict(normal=dict(
        type='Normal', zero_sum_unknown=zero_sum_unknown)))['normal'], False)
    for number in range(12):
        label = rng.normal(0, 1, (30, 40, 3))
        label[..., 1:] = np.abs(label[..., 1:])
        label[:, :25] = 2**-0.5, -2**-0.5, 0
        label = (label / np.linalg.norm(label, axis=2, keepdims=True)).astype(np.float32)
        label[:, :25] = np.float32(0.70710678), -np.float32(0.70710678), 0
        look.add(label, str(number), None, None, str(number))
    doubt = look.task.doubt(look.seen)
    found = doubt.text if doubt else ''
    assert told in found and bool(found) == bool(told)
