"""What depth maps hold: sensors, marks and units."""

import math

import numpy as np
import pytest
from test_tasks.stored_tasks import build

from mtpsl.tasks.seen import Seen

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
