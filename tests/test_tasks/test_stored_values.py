"""What a config says of the numbers in label files, and class weights."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_tasks.stored_tasks import build

from mtpsl.tasks import Task


def translate(task: Task, values: list, kind: type = np.uint8) -> list:
    label = task.translate(np.array([values], kind))
    task.check(label)
    assert label.astype(np.uint8).tolist() == label.tolist()
    return label[0].tolist()


# ------------------------------------------------------------------ values and ignore


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.int32, np.int64])
def test_values_of_classes_and_of_unknown_pixels(kind: type) -> None:
    task = build(values=(0, (7, 9), 255), ignore=(3,))
    assert translate(task, [0, 7, 9, 255, 3], kind) == [0, 1, 1, 2, 255]
    with pytest.raises(ValueError, match='no class has and that are not in ignore: 1, 8$'):
        task.translate(np.array([[0, 8, 1, 8]], kind))


@pytest.mark.parametrize('arguments', [{}, dict(values=(0, 1, 2)), dict(ignore=(9,))])
def test_a_number_beyond_64_bits_with_a_sign_is_named(arguments: dict) -> None:
    label = build(**arguments).from_array(np.array([[0, 2 ** 64 - 1]], np.uint64))
    with pytest.raises(ValueError, match='uint64 up to 18446744073709551615: if it was -1'):
        build(**arguments).translate(label)


def test_numbers_beyond_a_byte_and_below_zero() -> None:
    task = build(ignore=(65535, -100, 10 ** 7))
    assert translate(task, [0, 2, 65535], np.uint16) == [0, 2, 255]
    assert translate(task, [-1, -100, 1, 10 ** 7], np.int64) == [255, 255, 1, 255]
    with pytest.raises(ValueError, match=r'0\.\.2 or 255 .*got \[7, 40000000\]; values and'):
        task.check(task.translate(np.array([[7, 4 * 10 ** 7]])))


def test_without_options_maps_stay_as_they_are() -> None:
    label = np.array([[0, 2, 255]], np.uint8)
    assert build().translate(label) is label
    assert translate(build(), [-1, 2], np.int8) == [255, 2]
    assert translate(build(ignore=()), [1, 255]) == [1, 255]


@pytest.mark.parametrize('kind', ['Saliency', 'Boundary'])
def test_masks(kind: str) -> None:
    assert translate(build(kind, values=(0, 255)), [0, 255]) == [0, 1]
    assert translate(build(kind, ignore=(128,)), [0, 1, 128, 255]) == [0, 1, 255, 255]
    assert build(kind, values=(0, 2)).from_png(np.uint8([[0, 2]])).tolist() == [[0, 2]]


@pytest.mark.parametrize('kind', ['Saliency', 'Boundary'])
@pytest.mark.parametrize('options', [dict(), dict(values=(0, 255)), dict(ignore=(255,)),
                                     dict(values=(0, 255), ignore=(128,))])
@pytest.mark.parametrize('values', [[0, 1], [0, 255], [0, 128, 255]])
def test_pictures_and_arrays_of_the_same_values_are_never_read_differently(
        kind: str, options: dict, values: list) -> None:
    task, pixels = build(kind, **options), np.array([values], np.uint8)
    read = []
    for way in (task.from_png, task.from_array):
        try:
            label = task.translate(way(pixels))
            task.check(label)
            read.append(label.tolist())
        except ValueError as error:
            assert 'values' in str(error) and 'ignore' in str(error)
    assert all(one == read[0] for one in read)
    assert len(read) == 2 or not options or values[1:] != [255]


def test_255_without_1_in_an_array_could_mean_two_things() -> None:
    with pytest.raises(ValueError, match=r'is 255 yes, as in a picture, or unknown\? Set '
                       r'values=\(0, 255\) or ignore=\(255,\) for the task task$'):
        build('Saliency').from_array(np.array([[0, 255]]))
    assert build('Saliency').from_array(np.array([[0, 1, 255]])).tolist() == [[0, 1, 255]]


@pytest.mark.parametrize('arguments, words', [
    (dict(values=(0, 1)), r'values must be a sequence with the stored number of each of the 3'),
    (dict(values='abc'), 'Semseg: values must be a sequence with the stored number of each'),
    (dict(values=(0, 1, 2.5)), r'values must be a sequence of whole numbers .*got \(2.5,\)'),
    (dict(values=(0, 1, 1)), 'must name a number once, got 1 more than once'),
    (dict(values=(0, 1, 2), ignore=(2, 5)), 'must name a number once, got 2 more'),
    (dict(ignore=255), 'ignore must be a sequence of whole numbers .*got 255'),
    (dict(ignore=('a',)), 'ignore must be a sequence of whole numbers'),
    (dict(colour_coded=True, values=(0, 1, 2)), 'values must be None'),
    (dict(colour_coded=True, ignore=(255,)), 'ignore must be a sequence of RGB colours'),
    (dict(class_names=('wall',)), "at least 2 names, .* got \\['wall'\\]"),
    (dict(ignore=0), 'ignore must be a sequence of whole numbers .*got 0'),
    (dict(colour_coded=True, ignore=0), 'ignore must be a sequence of RGB colours'),
    (dict(colour_coded=True, ignore=((300, 0, 0),)), 'ignore must be a sequence of RGB colours'),
    (dict(class_names={'a', 'b'}), 'class_names must be a sequence of names in the order'),
    (dict(class_names={1: 'a', 0: 'b'}), 'class_names must be a sequence of names in the order'),
    (dict(class_names=(0, 1)), 'class_names must be a sequence of names in the order'),
    (dict(class_names=7), 'class_names must be a sequence of names in the order'),
    (dict(class_names=('a', 'b\n')), r"names in one line, .* got 'b\\n'"),
    (dict(class_names=('a', '')), "names in one line, without blanks around them, got ''"),
    (dict(class_names=('a', 'b\u2028c')), r"names in one line, .* got 'b\\u2028c'"),
    (dict(class_names=('a', 'b', 'a')), "class_names must all differ, got 'a' more than once"),
    (dict(palette=((0.0, 0, 0), (1, 0, 0), (0, 1, 0))), 'palette must be RGB colours of whole'),
    (dict(palette=((0, 0, 0), (300, 0, 0), (0, 1, 0))), 'palette must be .* from 0 to 255'),
    (dict(palette=((0, 0, 0), (-1, 0, 0), (0, 1, 0))), 'palette must be .* from 0 to 255'),
    (dict(palette=((0, 0, 0), (1, 0), (0, 1, 0))), 'palette must be RGB colours'),
    (dict(palette={'wall': (0, 0, 0)}), 'palette must be RGB colours'),
    (dict(palette=((0, 0, 0),)), 'one colour for each of the 3 classes, got 1'),
    (dict(absent_iou='0'), "absent_iou must be a number >= 0 or None, got '0'"),
    (dict(class_weight=dict(wall=1, door=2, floor=3)), 'for each of the 3 classes, in their order'),
    (dict(class_weight={0: 1.0, 1: 2.0, 2: 3.0}), 'for each of the 3 classes, in their order'),
    (dict(class_weight={1, 2, 3}), 'for each of the 3 classes, in their order'),
    (dict(class_weight=(1, 2)), 'class_weight must be a number for each of the 3 classes'),
    (dict(class_weight='123'), 'class_weight must be a number for each of the 3 classes'),
    (dict(class_weight=2.0), 'class_weight must be a number for each of the 3 classes'),
    (dict(class_weight=(1, -1, 1)), 'class_weight must be finite numbers >= 0, not all 0'),
    (dict(class_weight=(1, math.nan, 1)), 'class_weight must be finite numbers >= 0'),
    (dict(class_weight=(0, 0, 0)), 'class_weight must be finite numbers >= 0, not all 0')])
def test_wrong_options(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(**arguments)


def test_colour_coded_labels() -> None:
    task = build(palette=[(0, 0, 0), (255, 0, 0), (0, 0, 255)], colour_coded=True,
                 ignore=((255, 255, 255),))
    pixels = np.array([[(0, 0, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255)]], np.uint8)
    for way in (task.from_png, task.from_array):
        label = task.translate(way(pixels))
        assert label.tolist() == [[0, 1, 2, 255]] and label.dtype == np.uint8
    palette, indices = np.zeros((256, 3), np.uint8), np.array([[0, 4]], np.uint8)
    palette[4] = 0, 0, 255
    assert task.translate(task.from_palette(indices, palette)).tolist() == [[0, 2]]
    with pytest.raises(ValueError, match=r'not in ignore: \(0, 0, 254\)$'):
        task.translate(task.from_png(pixels - np.uint8([0, 0, 1]) * (pixels[..., 2:] == 255)
                                         * (pixels[..., :1] == 0)))
    with pytest.raises(ValueError, match='must be 8-bit RGB, got uint8 of shape'):
        task.from_png(indices)


# ------------------------------------------------------------------ class weights


def test_class_weights_are_those_of_torch() -> None:
    weights = (0.5, 2.0, 0.0)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 5, 6, generator=generator)
    label = torch.randint(0, 3, (4, 1, 5, 6), generator=generator).to(torch.uint8)
    label[0, :, :2] = 255
    found = build(class_weight=weights).loss(logits, label)
    for z, y, value in zip(logits, label, found):
        expected = F.cross_entropy(z[None], y.long(), torch.tensor(weights), ignore_index=255)
        torch.testing.assert_close(value, expected)
    label[0], label[1] = 255, 2  # unknown; only a class without weight
    assert build(class_weight=weights).loss(logits, label)[:2].tolist() == [0, 0]


def test_without_weights_or_with_equal_ones_the_loss_is_the_mean() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 5, 6, generator=generator).double().requires_grad_()
    label = torch.randint(0, 3, (2, 1, 5, 6), generator=generator).to(torch.uint8)
    label[0, :, :2] = 255
    plain = build().loss(logits, label)
    torch.testing.assert_close(build(class_weight=(3, 3, 3)).loss(logits, label), plain)
    assert torch.autograd.gradcheck(lambda x: build(class_weight=(1, 2, 3)).loss(x, label), logits)
