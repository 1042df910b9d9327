"""What a config says of the numbers in label files, and class weights."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mtpsl.tasks import Task, build_tasks
from mtpsl.tasks.normal import unit_vectors
from mtpsl.tasks.seen import Doubt, Seen

NAMES = ('wall', 'door', 'floor')


def build(kind: str = 'Semseg', **arguments: object) -> Task:
    if kind == 'Semseg':
        arguments = dict(class_names=NAMES) | arguments
    return build_tasks(dict(task=dict(type=kind, **arguments)))['task']


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
    (dict(class_names=('a', 'b\n')), r"printed characters, .* got 'b\\n'"),
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


# ------------------------------------------------------------------ depth


def test_what_sensors_write_where_they_measured_nothing() -> None:
    pixels = np.array([[0, 1500, 65535]], np.uint16)
    for unit, metres in ((0.001, 65.535), (1 / 256, 255.9961), (0.0125, 819.1875)):
        task = build('Depth', png_unit=unit)
        with pytest.raises(ValueError, match=rf'up to {metres} m, the largest 16-bit number, .*'
                           rf'ignore=\({metres},\) of the task makes it unknown'):
            task.check(task.from_png(pixels))
        known = build('Depth', png_unit=unit, ignore=(metres,))
        label = known.translate(known.from_png(pixels))
        known.check(label)
        assert label[0, 2] == 0 and label[0, 1] > 0 and label.dtype == np.float32
        taken = build('Depth', png_unit=unit, ignore=())
        taken.check(taken.from_png(pixels))
    with pytest.raises(ValueError, match='up to 65.535 m, the largest 16-bit number'):
        build('Depth').check(np.float32([[1.5, 65.535]]))
    build('InverseDepth').check(np.float32([[0.1, 1]]))


@pytest.mark.parametrize('kind, unit, measure', [
    (np.uint16, 0.0005, '32.7675'), (np.uint16, 0.002, '131.07'), (np.int16, 0.001, '32.767'),
    (np.uint8, 0.04, '10.2'), (np.float32, 0.0005, '32.7675'), (np.float16, 0.001, '65.504'),
    (np.int32, 0.001, '65.535')])
@pytest.mark.parametrize('named', [(), (7.0,)])
def test_the_largest_number_of_a_type_is_no_depth(kind: type, unit: float, measure: str,
                                                  named: tuple) -> None:
    pixels = np.array([[100, round(float(measure) / unit)]]).astype(kind)
    ways = [lambda **options: (task := build('Depth', npy_unit=unit, **options)).translate(
        task.from_array(pixels))]
    if kind in (np.uint8, np.uint16):
        ways.append(lambda **options: (task := build('Depth', png_unit=unit, **options))
                    .translate(task.from_png(pixels)))
    for read in ways:
        with pytest.raises(ValueError, match=rf'up to {measure} m, .*ignore=\(.*{measure},?\)'):
            read(ignore=named or None)
        assert read(ignore=(*named, float(measure)))[0].tolist() == pytest.approx([100 * unit, 0])
        assert read(ignore=())[0, 1] == pytest.approx(float(measure))


@pytest.mark.parametrize('kind', ['Depth', 'InverseDepth'])
def test_ignore_in_steps_is_named(kind: str) -> None:
    pixels = np.array([[1500, 9999, 65535]], np.uint16)
    for steps, measure in ((9999, 9.999), (65535, 65.535)):
        with pytest.raises(ValueError, match=rf'names {steps}, .* ignore=\({measure},\), in the'):
            build(kind, png_unit=0.001, ignore=(steps,)).from_png(pixels)
    task = build('Depth', npy_unit=1.0, ignore=(2000.0, math.inf))  # metres
    assert task.translate(task.from_array(np.array([[3, 2000, math.inf]]))).tolist() == [[3, 0, 0]]


def depths(*maps: object) -> Seen:
    seen = Seen()
    for values in maps:
        seen.add(np.array(values, np.float32).reshape(6, -1), 0)
    return seen


RAMP = np.linspace(1, 20, 60)


@pytest.mark.parametrize('kind', ['Depth', 'InverseDepth'])
@pytest.mark.parametrize('mark', [999, 1000, 65.534, 32.767])
def test_one_depth_far_above_all_others_is_a_mark(kind: str, mark: float) -> None:
    marked = np.where(np.arange(60) < 15, mark, RAMP)
    doubt = build(kind).doubt(depths(RAMP, marked, marked))
    assert doubt is not None and doubt.certain and f'ignore=({mark:g},) for the' in doubt.text
    doubt = build(kind, ignore=(7,)).doubt(depths(RAMP, marked, marked))
    assert doubt is not None and f'ignore=(7, {mark:g}) for the' in doubt.text
    assert build(kind, ignore=()).doubt(depths(marked, marked)) is None
    assert build(kind).doubt(depths(RAMP, marked)) is None  # of one label
    clipped = np.minimum(RAMP, 12)
    assert build(kind).doubt(depths(clipped, clipped)) is None


def test_depth_in_kilometres_and_depth_as_inverse_depth() -> None:
    doubt = build('Depth').doubt(depths(RAMP / 1000))
    assert doubt is not None and not doubt.certain and 'below 0.011 m' in doubt.text
    assert build('Depth', farthest=0.2).doubt(depths(RAMP / 1000)) is None
    doubt = build('InverseDepth').doubt(depths(*[RAMP[::-1]] * 8))
    assert doubt is not None and not doubt.certain and "the task's type is Depth" in doubt.text
    assert build('InverseDepth').doubt(depths(*[RAMP + k for k in range(8)])) is None
    assert build('InverseDepth', npy_unit=1.0).doubt(
        depths(*[RAMP[::-1] + k for k in range(8)])) is None


def test_inverse_depth_as_depth_and_depth_over_its_largest() -> None:
    doubt = build('Depth').doubt(depths(*[RAMP] * 8))
    assert doubt is not None and not doubt.certain and 'type is InverseDepth' in doubt.text
    looked_up = build('Depth', ignore=()).doubt(depths(*[RAMP + k for k in range(8)]))
    assert 'InverseDepth' not in str(looked_up)
    maps = [RAMP[::-1] * scale for scale in (1, 2, 3)]
    assert build('Depth').doubt(depths(*maps)) is None
    over = depths(*[values / values.max() for values in maps[:2]], np.linspace(1, 0, 60) ** 2)
    doubt = build('Depth').doubt(over)
    assert doubt is not None and doubt.certain and 'exactly 1' in doubt.text
    assert build('Depth', farthest=1.0).doubt(over) is None
    assert build('InverseDepth').doubt(over) is None


@pytest.mark.parametrize('kind', ['Depth', 'InverseDepth'])
def test_two_units_in_one_set(kind: str) -> None:
    def seen(*scales: float) -> Seen:
        seen = Seen()
        for scale in scales:
            seen.add((RAMP * scale).astype(np.float32).reshape(6, -1), 0, f'{scale:g}.npy')
        return seen
    doubt = build(kind).doubt(seen(0.9, 30, 0.1, 40))
    assert doubt is not None and '(0.9.npy)' in doubt.text and '(30.npy)' in doubt.text
    assert build(kind).doubt(seen(0.1, 1, 9)) is None  # near and far scenes


def test_depth_that_is_no_number_is_unknown_if_a_config_says_so() -> None:
    values = np.float32([[math.nan, 2, math.inf, -math.inf]])
    for named in (('nan', 'inf'), (math.nan, math.inf)):
        assert build('Depth', ignore=named).translate(values).tolist() == [[0, 2, 0, 0]]
    with pytest.raises(ValueError, match=r"ignore=\('nan', 'inf'\)"):
        build('Depth').check(values)
    with pytest.raises(ValueError, match=r"ignore=\('nan', 65.535\)"):
        build('Depth', ignore=('nan',)).check(np.float32([[65.535]]))


def test_depth_in_another_unit() -> None:
    values = np.array([[0, 2500.0]])
    with pytest.raises(ValueError, match=r'must be in metres, at most 1000, got up to 2500: are '
                       r'they millimetres\? Then set npy_unit=0.001 \(for pictures'):
        build('Depth').check(values)
    task = build('Depth', npy_unit=0.001)
    for kind in (np.float64, np.uint16):
        np.testing.assert_allclose(task.from_array(values.astype(kind)), [[0, 2.5]])
    build('Depth', farthest=5000.0).check(values)
    with pytest.raises(ValueError, match='npy_unit must be a number above 0.* got 0'):
        build('Depth', npy_unit=0)
    with pytest.raises(ValueError, match='Depth: ignore must be a sequence of numbers'):
        build('Depth', ignore=65.535)


# ------------------------------------------------------------------ doubts


@pytest.mark.parametrize('kind, values, words', [
    ('Semseg', [0, 255], r'0 and 255 only, .* values=\(0, 255\) for the task, .* ignore=\(255,\)'),
    ('Semseg', [0, 0], r'hold one class only, 0 \(wall\)'),
    ('Semseg', [2, 255], r'hold one class only, 2 \(floor\)'),
    ('Semseg', [255, 255], 'hold no known pixel'), ('Semseg', [0, 1], ''),
    ('Saliency', [0, 255], 'hold no pixel that is a yes'),
    ('Boundary', [1, 1], 'hold no pixel that is a no'), ('Boundary', [0, 1], ''),
    ('Depth', [300.0, 200.0], 'half are above 250 m: .* npy_unit or png_unit'),
    ('Depth', [2.0, 2.0], 'hold 2 wherever'), ('Depth', [2.0, 3.0], ''),
    ('InverseDepth', [300.0, 200.0], '')])
def test_doubts(kind: str, values: list, words: str) -> None:
    task, parts = build(kind), [Seen(), Seen()]
    for seen, value in zip(parts, values):
        seen.add(np.full((3, 4), value, task.label_dtype), task.ignore_value)
    doubt = task.doubt(Seen.union(parts))
    if not words:
        assert doubt is None
        return
    assert doubt is not None and doubt.certain == ('only, and 255' in doubt.text)
    assert doubt.mute == (not doubt.certain and 'half' not in doubt.text)
    with pytest.raises(ValueError, match=words):
        raise ValueError(doubt.text)


def test_far_depth_is_not_doubted_where_the_unit_is_said() -> None:
    seen = Seen()
    seen.add(np.linspace(200, 300, 600, dtype=np.float32).reshape(20, 30), 0)
    assert build('Depth').doubt(seen) is not None
    assert build('Depth', npy_unit=1.0).doubt(seen) is None


def test_masks_of_1_and_of_255_as_two_classes() -> None:
    maps = {255: [[0, 255]], 1: [[0, 1]], 2: [[1, 255]]}
    seen = {key: Seen() for key in maps}
    for key, values in maps.items():
        seen[key].add(np.array(values, np.uint8), 255)
    mixed, told = Seen.union([seen[255], seen[1]]), Seen.union(list(seen.values()))
    two = dict(class_names=('a', 'b'))
    doubt = build(**two).doubt(mixed)
    assert doubt is not None and doubt.certain and 'values=(0, (1, 255)) for' in doubt.text
    assert build(**two).doubt(told) is build(**two, ignore=(255,)).doubt(mixed) is None
    assert build().doubt(mixed) is None  # of three classes


def test_normals_that_are_all_one_vector() -> None:
    seen, task = Seen(), build('Normal')
    seen.add(np.tile(np.float32([0, 0, 1]), (3, 4, 1)), 0)
    assert (seen.low, seen.high, seen.known) == (0, 1, 36)
    doubt = task.doubt(seen)
    assert doubt is not None and doubt.text == 'hold one vector wherever they are known'
    seen.add(np.tile(np.float32([0, 0.6, 0.8]), (3, 4, 1)), 0)
    assert task.doubt(seen) is None


def test_normals_that_point_away_from_the_viewer_are_doubted() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    vectors[..., 2] = -abs(vectors[..., 2])
    facing = vectors * np.float32([1, 1, -1])
    for published, maps, doubted in (
            (False, [vectors], 'which 92%'), (False, [facing], ''), (True, [vectors], ''),
            (False, [vectors, facing], 'away from the viewer (z < 0), most of them in 1 of the'),
            (False, [facing[..., ::-1]], 'in BGR order')):
        seen = Seen(published)
        for label in maps:
            seen.add(label, 0)
        doubt = build('Normal').doubt(seen)
        assert (doubt is not None) == bool(doubted)
        assert doubt is None or not doubt.certain and doubted in doubt.text
        assert doubt is None or 'save (x, -y, -z)' in doubt.text


def test_unknown_normals_that_are_one_vector_are_named() -> None:
    seen, task = Seen(), build('Normal')
    vectors = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    vectors[..., 2] = abs(vectors[..., 2])
    vectors[:6] = [0, 0, -1]
    for label in (vectors, vectors[:, ::-1]):
        seen.add(task.from_array(unit_vectors(label)), 0)
    doubt = task.doubt(seen)
    assert doubt is not None and '30% are one and the same, (0, 0, -1)' in doubt.text
    assert 'save (0, 0, 0)' in doubt.text
    vectors[:6, :, 0] = np.linspace(-1, 1, 30)
    seen.add(unit_vectors(vectors), 0)
    doubt = task.doubt(seen)
    assert doubt is not None and '(z < 0), while what' in doubt.text


def test_surfaces_at_a_slant_are_not_doubted() -> None:
    vectors = np.zeros((20, 30, 3), np.float32)
    vectors[..., 1:] = [0.8, 0.6]
    vectors[:, :6] = [1, 0, -0.05]  # grazed by the view at the edge
    vectors[0] = [0.8, 0, -0.6]  # noise
    seen = Seen()
    seen.add(vectors, 0)
    assert build('Normal').doubt(seen) is None


def test_boundaries_that_cover_most_pixels_are_doubted() -> None:
    lines = np.zeros((9, 9), np.uint8)
    lines[4] = 1
    seen, inverted, published = Seen(), Seen(), Seen(published=True)
    for number in range(3):
        seen.add(lines if number else 1 - lines, 255)
        inverted.add(1 - lines if number else lines, 255)
        published.add(1 - lines, 255)
    doubt = build('Boundary').doubt(inverted)
    assert doubt is not None and doubt.certain and 'values=(255, 0)' in doubt.text
    doubt = build('Boundary', values=(255, 0)).doubt(inverted)
    assert doubt is not None and not doubt.certain
    assert build('Boundary').doubt(seen) is build('Boundary').doubt(published) is None


@pytest.mark.parametrize('size', [(64, 64), (480, 640), (2160, 3840)])
def test_boundaries_that_are_filled_regions_are_doubted(size: tuple[int, int]) -> None:
    def doubt(width: int, published: bool = False) -> Doubt | None:
        """Of rings so wide in an image of 64 x 64; 32 fill the shape."""
        seen, scale = Seen(published), size[0] // 64
        for radius in range(8, 14):
            canvas = np.zeros(size, np.uint8)
            cv2.circle(canvas, (size[1] // 2, size[0] // 2), radius * scale, 1,
                       -1 if width == 32 else max(width * scale // 2, width))
            seen.add(canvas, 255)
        return build('Boundary').doubt(seen)
    found = doubt(32)
    assert found and 'all over regions' in found.text and not (found.certain or found.mute)
    assert doubt(32, published=True) is doubt(1) is doubt(3) is None


def test_0_and_255_are_as_a_config_says() -> None:
    seen = Seen()
    seen.add(np.uint8([[0, 255]]), 255)
    doubt = build(ignore=(255,)).doubt(seen)
    assert doubt is not None and not doubt.certain and 'one class only, 0' in doubt.text
