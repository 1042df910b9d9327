"""The two tasks with classes, as PASCAL has them."""

import numpy as np
import pytest
import torch
from mmseg.utils import voc_classes
from PIL import Image, ImageOps

from mtpsl.datasets.photo import TURNS, turn
from mtpsl.tasks import build_tasks
from mtpsl.tasks.parsing import Parsing
from mtpsl.tasks.semseg import Semseg


def test_semseg_is_voc() -> None:
    task = Semseg()
    assert list(task.class_names) == voc_classes() and task.channels == 21
    assert task.palette[15].tolist() == [192, 128, 128]  # a person in VOC's colours
    assert task.loss_weight == 1 and task.primary_metric == 'mIoU' and task.higher_is_better


def test_semseg_with_classes_of_its_own() -> None:
    task = Semseg(['floor', 'wall'], loss_weight=0.5)
    assert task.channels == 2 and task.palette.tolist() == [[0, 0, 0], [128, 0, 0]]
    assert Semseg(['floor', 'wall'], [[9, 9, 9], [7, 7, 7]]).palette[1].tolist() == [7, 7, 7]
    with pytest.raises(ValueError, match='Semseg: palette must have one colour .* 2 classes'):
        Semseg(['floor', 'wall'], [[9, 9, 9]])


def test_parsing_classes() -> None:
    task = Parsing()
    assert task.channels == 7 and task.loss_weight == 2
    assert len({tuple(colour) for colour in task.palette.tolist()}) == 7
    assert task.class_names[1] == 'head' and task.class_names[6] == 'lower leg'


@pytest.mark.parametrize(('label', 'unknown'), [
    ([[0, 0, 0]], True), ([[0, 255, 0]], True), ([[255, 255, 255]], True),
    ([[0, 6, 0]], False), ([[255, 1, 0]], False),
])
def test_an_image_without_a_body_part_is_unknown(label: list[list[int]], unknown: bool) -> None:
    label = np.array(label, np.uint8)
    marked = Parsing().mark_ignored(label.copy())
    assert marked.dtype == np.uint8
    assert marked.tolist() == ([[255] * 3] if unknown else label.tolist())


def test_semseg_keeps_an_image_of_background() -> None:
    label = np.zeros((2, 2), np.uint8)
    assert Semseg().mark_ignored(label) is label


@pytest.mark.parametrize(('name', 'bad'), [('semseg', 21), ('parsing', 7)])
def test_check_names_the_task(name: str, bad: int) -> None:
    task = build_tasks({name: dict(type=name.capitalize())})[name]
    task.check(np.array([[bad - 1, 255]], np.uint8))
    with pytest.raises(ValueError, match=rf'{name} labels must be 0..{bad - 1} .* \[{bad}\]'):
        task.check(np.array([[bad]], np.uint8))


def test_absent_classes_of_a_small_set() -> None:
    """Two of 21 classes occur, both right: 100 without the absent ones, 200 / 21 with them."""
    label = torch.tensor([[[[0, 15]]]])
    prediction = torch.zeros(1, 21, 1, 2)
    prediction[0, 0, 0, 0] = prediction[0, 15, 0, 1] = 1
    for absent_iou, expected in ((None, 100), (0.0, 200 / 21)):
        task = Semseg(absent_iou=absent_iou)
        assert task.score(task.stats(prediction, label))['mIoU'] == pytest.approx(expected)


ARMS = ('background', 'left arm', 'right arm', 'Left leg', 'head', 'Right leg')


@pytest.mark.parametrize(('mirrored', 'order'), [
    (None, [0, 2, 1, 5, 4, 3]), ((), range(6)), ((('head', 'left arm'),), [0, 4, 2, 3, 1, 5])])
def test_a_mirror_image_exchanges_left_and_right(mirrored, order) -> None:
    """In labels, but for unknown pixels, and in the channels of predictions."""
    task = Semseg(ARMS, mirrored=mirrored)
    label, after = np.uint8([[0, 1, 2, 3, 4, 5]]), np.uint8([list(order)[::-1]])
    np.testing.assert_array_equal(task.flip(label), after)
    unknown = task.flip(np.uint8([[255, 1]]))
    assert unknown.tolist() == [[list(order)[1], 255]] and unknown.dtype == np.uint8
    scores = torch.eye(6)[torch.arange(6)].T[None, :, None]
    np.testing.assert_array_equal(task.mirror(scores).argmax(1)[0], after)


@pytest.mark.parametrize('mirrored', [
    'left', (('left arm',),), (('left arm', 'tail'),), ('left arm', 'right arm'), 5,
    (('left arm', 'right arm'), ('right arm', 'head'))])
def test_pairs_that_are_none_are_refused(mirrored) -> None:
    with pytest.raises(ValueError, match='Semseg: mirrored must be pairs of classes such as'):
        Semseg(ARMS, mirrored=mirrored)
    for names in (('left', 'nothing else'), ('upleft', 'upright'), ('Left a', 'left a', 'right a')):
        assert Semseg(names).flip(np.uint8([[0, 1]])).tolist() == [[1, 0]]
        assert not Semseg(names).exchanged
    assert Semseg(ARMS).exchanged == 'left arm and right arm, Left leg and Right leg'


@pytest.mark.parametrize('orientation', TURNS)
def test_turned_photos_keep_left_and_right_and_mirrored_ones_exchange_them(orientation) -> None:
    """Pillow turns the picture; orientations 2, 4, 5 and 7 of EXIF are mirror images."""
    task = Semseg(('background', 'left arm', 'right arm'))
    label = np.random.default_rng(0).integers(0, 3, (4, 6), np.uint8)
    picture = Image.fromarray(label)
    picture.getexif()[0x0112] = orientation
    expected = np.array(ImageOps.exif_transpose(picture))
    if orientation in (2, 4, 5, 7):
        expected = np.uint8([0, 2, 1])[expected]
    turned = turn(label, TURNS[orientation], task.transpose, task.flip)
    assert np.array_equal(turned, expected)
