"""Labels that are saved as pictures."""

import re
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mtpsl.datasets.pictures import to_bytes
from mtpsl.tasks import Task, build_tasks
from mtpsl.tasks.seen import Seen

TASKS = build_tasks(dict(
    semseg=dict(type='Semseg'), saliency=dict(type='Saliency'), boundary=dict(type='Boundary'),
    normal=dict(type='Normal'), depth=dict(type='Depth', png_unit=0.001),
    disparity=dict(type='InverseDepth', png_unit=0.5)))


def test_class_ids_are_taken_as_stored() -> None:
    pixels = np.array([[0, 20, 255]], np.uint8)
    assert TASKS['semseg'].from_png(pixels) is pixels
    assert TASKS['semseg'].from_png(pixels > 0).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize('name', ['saliency', 'boundary'])
def test_masks_are_black_and_white(name: str) -> None:
    task = TASKS[name]
    soft = np.array([[0, 1, 64, 126, 127, 128, 129, 200, 254, 255]], np.uint8)
    label = task.from_png(soft)
    assert label.tolist() == [[0] * 5 + [1] * 5] and label.dtype == np.uint8
    jpeg = np.array([[0, 2, 3, 252, 254, 255]], np.uint8)
    assert task.from_png(jpeg).tolist() == [[0] * 3 + [1] * 3]
    cut = build_tasks(dict(cut=dict(type='Saliency', values=(range(128), range(128, 256)))))['cut']
    assert cut.translate(cut.from_png(soft)).tolist() == label.tolist()
    assert task.from_png(np.array([[True, False]])).tolist() == [[1, 0]]
    assert task.from_png(np.zeros((2, 2), np.uint8)).sum() == 0
    colours = np.repeat(np.array([[0, 255]], np.uint8)[..., None], 3, 2)
    assert task.from_png(colours).tolist() == [[0, 1]]
    # Its own picture is read back.
    known = np.array([[0, 1, 1, 0]], np.uint8)
    assert (task.from_png(task.colorize(known[None])[..., 0]) == known).all()


def test_objects_in_greys_are_no_soft_edges() -> None:
    objects = np.zeros((60, 80), np.uint8)
    for number in range(5):
        objects[10:50, 5 + 15 * number:15 + 15 * number] = 51 * (number + 1)
    for pixels in (objects, objects.astype(np.uint16) * 257):
        with pytest.raises(ValueError, match='areas of the greys 51, 102, 153, 204,'
                           if pixels is objects else 'areas of the greys 13107,'):
            TASKS['saliency'].from_png(pixels)
    disc = np.zeros((60, 80), np.uint8)
    cv2.circle(disc, (40, 30), 12, 255, -1)
    bar = np.zeros((60, 80), np.uint8)
    bar[20:30] = 255
    for mask in (disc, bar):
        soft = cv2.GaussianBlur(mask, (0, 0), 2)
        assert ((soft > 127) == TASKS['saliency'].from_png(soft)).all()
    thin = np.zeros((60, 80), np.uint8)
    cv2.line(thin, (3, 3), (70, 50), 255, 1, cv2.LINE_AA)
    assert ((thin > 127) == TASKS['boundary'].from_png(thin)).all()


def test_normals_are_read_back_from_their_own_picture() -> None:
    task = TASKS['normal']
    vectors = np.random.default_rng(0).normal(size=(40, 50, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    vectors[:3] = 0
    label = task.from_png(task.colorize(vectors.transpose(2, 0, 1)))
    assert not label[:3].any()
    np.testing.assert_allclose(np.linalg.norm(label[3:], axis=2), 1, rtol=1e-5)
    angle = np.degrees(np.arccos((label[3:] * vectors[3:]).sum(2).clip(-1, 1)))
    assert angle.max() < 0.6  # half a step of 1 / 127.5 in each component


def test_ids_and_masks_of_other_types() -> None:
    """16 bits, and three channels that are alike."""
    ids = np.array([[0, 20, 255]], np.uint16)
    grey = np.repeat(ids[..., None], 3, 2)
    for pixels in (ids, grey, grey.astype(np.uint8)):
        label = TASKS['semseg'].translate(TASKS['semseg'].from_png(pixels))
        assert label.tolist() == [[0, 20, 255]] and label.dtype == np.uint8
    for white in (1, 255, 65535):
        mask = TASKS['saliency'].from_png(np.array([[0, white]], np.uint16))
        assert mask.tolist() == [[0, 1]] and mask.dtype == np.uint8


def test_palette_pictures() -> None:
    indices = np.array([[0, 1, 1]], np.uint8)
    black_white, red = np.zeros((2, 256, 3), np.uint8)
    black_white[1], red[1] = 255, (0, 128, 128)
    for palette, label in ((black_white, [[0, 1, 1]]), (black_white[1::-1], [[1, 0, 0]]),
                           (red, [[0, 1, 1]])):
        assert TASKS['boundary'].from_palette(indices, palette).tolist() == label
    assert TASKS['semseg'].from_palette(indices, red).tolist() == [[0, 1, 1]]
    vector = TASKS['normal'].from_palette(indices, red)[0, 1]
    np.testing.assert_allclose(vector, TASKS['normal'].from_png(red[None, 1:2])[0, 0])
    with pytest.raises(ValueError, match='a picture of depth must be integers of one channel'):
        TASKS['depth'].from_palette(indices, red)


@pytest.mark.parametrize('order, indices, refused', [
    ((0, 2, 1), [0, 1, 2], '1'), ((0, 2, 1), [0, 1], '1'), ((0, 2, 1), [0], ''),
    ((0, 1, 2), [0, 1, 2], ''), ((2, 0), [0, 1], '0'), ((0, 2), [0, 1, 255], '')])
def test_colours_of_other_classes_in_a_palette(order: tuple, indices: list, refused: str) -> None:
    options = dict(type='Semseg', class_names=('a', 'b', 'c'),
                   palette=((0, 0, 0), (255, 0, 0), (0, 255, 0)))
    task = build_tasks(dict(a=options))['a']
    pixels, palette = np.uint8([indices]), np.full((256, 3), (1, 2, 3), np.uint8)
    palette[:len(order)] = task.palette[list(order)]
    said = build_tasks(dict(a=options | dict(values=(0, 1, 2))))['a']
    assert said.from_palette(pixels, palette).tolist() == [indices]
    if not refused:
        assert task.from_palette(pixels, palette).tolist() == [indices]
        return
    with pytest.raises(ValueError, match=f'the index {refused} .* class 2 .c.: colour_coded=True'):
        task.from_palette(pixels, palette)


def test_a_palette_of_greys_leaves_two_readings_of_class_ids() -> None:
    indices, greys = np.array([[0, 1, 1]], np.uint8), np.zeros((256, 3), np.uint8)
    for grey in (3, 255):
        greys[1] = grey
        with pytest.raises(ValueError, match=rf'0, 1 .* are the greys 0, {grey}: which .* values'):
            TASKS['semseg'].from_palette(indices, greys)
        said = build_tasks(dict(a=dict(type='Semseg', class_names='ab', values=(0, grey))
                                | dict(class_names=('a', 'b'))))['a']
        assert said.translate(said.from_palette(indices, greys)).tolist() == [[0, 1, 1]]
    greys[:] = np.arange(256)[:, None]
    assert TASKS['semseg'].from_palette(indices, greys).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize('used, background', [((0, 255), 0), ((0, 1, 255), 0), ((0, 15), 0),
                                              ((0, 1), 255)])
def test_palettes_of_masks_hold_black_and_one_colour(used: tuple, background: int) -> None:
    palette = np.repeat(np.uint8([[255, 0, 0]]), 256, 0)
    palette[0] = background, 0, 0
    indices = np.array([used], np.uint8)
    with pytest.raises(ValueError, match='indices 0, of black, and 1, got 0 .* values and ignore'):
        TASKS['saliency'].from_palette(indices, palette)
    said = build_tasks(dict(a=dict(type='Saliency', values=(0, 1), ignore=(15, 255))))['a']
    label = said.translate(said.from_palette(indices, palette))
    assert label.tolist() == [[255 if index > 1 else index for index in used]]


@pytest.mark.parametrize('kind, step', [(np.uint8, 1), (np.uint16, 257)])
def test_middle_grey_is_no_normal(kind: type, step: int) -> None:
    def read(*colour: int) -> list[float]:
        pixels = np.array([[colour]], np.int64) * step
        return TASKS['normal'].from_png(pixels.astype(kind))[0, 0].tolist()

    for grey in (126, 127, 128, 129):
        assert read(grey, grey, grey) == [0, 0, 0]
    assert read(127, 128, 128) == [0, 0, 0]
    assert read(128, 128, 255) == pytest.approx([0, 0, 1], abs=0.01)
    assert read(128, 128, 0) == pytest.approx([0, 0, -1], abs=0.01)
    assert read(201, 201, 201) == pytest.approx([3 ** -0.5] * 3, abs=0.01)  # a true diagonal
    assert read(140, 128, 128)[0] > 0.9  # blended with grey
    assert read(255, 255, 255) == read(0, 0, 0) == [0, 0, 0]


def test_a_photo_is_no_picture_of_normals() -> None:
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, (30, 40, 3)), rng.integers(100, 180, (30, 40, 3)),
                   rng.integers(0, 40, (30, 40, 3))):
        with pytest.raises(ValueError, match=r'must be unit vectors, got .* is this a photo'):
            TASKS['normal'].from_png(pixels.astype(np.uint8))
    vectors = rng.normal(size=(30, 40, 3))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    noisy = ((vectors + 1) * 127.5 + rng.normal(0, 3, vectors.shape)).round().clip(0, 255)
    TASKS['normal'].from_png(noisy.astype(np.uint8))


def test_arrays_of_normals_are_unit_vectors() -> None:
    vectors = np.tile([0, 0.6, 0.8], (30, 40, 1))
    vectors[:5] *= 0.3  # blended
    label = TASKS['normal'].from_array(vectors)
    np.testing.assert_allclose(label, np.tile([0, 0.6, 0.8], (30, 40, 1)), atol=1e-6)
    vectors[5:15] *= 0.3
    with pytest.raises(ValueError, match='got 600 of 1200 of other lengths, .* divide them by'):
        TASKS['normal'].from_array(vectors)
    assert TASKS['normal'].from_array(np.int8([[[0, 0, 1]]])).tolist() == [[[0, 0, 1]]]


def test_pictures_of_depth_are_in_the_unit_that_is_said() -> None:
    pixels = np.array([[0, 1500, 65535]], np.uint16)
    taken = build_tasks(dict(depth=dict(type='Depth', png_unit=0.001, ignore=())))['depth']
    np.testing.assert_allclose(taken.from_png(pixels), [[0, 1.5, 65.535]])
    np.testing.assert_allclose(TASKS['depth'].from_png(pixels[:, :2]), [[0, 1.5]])
    np.testing.assert_allclose(TASKS['disparity'].from_png(pixels), [[0, 750, 32767.5]])
    assert taken.from_png(pixels).dtype == np.float32
    np.testing.assert_allclose(taken.from_png(np.dstack([pixels] * 3)), [[0, 1.5, 65.535]])


SMOOTH = np.add.outer(np.arange(40) * 9, np.arange(60) * 4).astype(np.uint16) + 900


@pytest.mark.parametrize('change, swapped', [
    (lambda map: map, False), (lambda map: map.byteswap(), True),
    (lambda map: np.where(map % 7 == 0, 0, map).astype(np.uint16).byteswap(), True),
    (lambda map: map // 64 * 64, False),  # coarse steps
    (lambda map: (map // 8) << 8, False), (lambda map: (map // 8) * 257, False),  # 8 bits in 16
    (lambda map: map * 0 + 5, False), (lambda map: map[:3, :3].byteswap(), False),
    (lambda map: np.random.default_rng(0).integers(0, 65536, map.shape, np.uint16), False)])
def test_bytes_in_the_other_order_are_refused(change: Callable, swapped: bool) -> None:
    pixels = change(SMOOTH)
    for read in (build_tasks(dict(depth=dict(type='Depth', png_unit=1e-5)))['depth'].from_png,
                 TASKS['disparity'].from_png, lambda pixels: to_bytes(pixels, 65535)):
        if swapped:
            with pytest.raises(ValueError, match='in the other byte order'):
                read(pixels)
        else:
            read(pixels)


def turned_bits(metres: np.ndarray) -> np.ndarray:
    """As SUN RGB-D saves depth."""
    steps = (metres * 1000).astype(np.uint16)
    return (steps << 3) | (steps >> 13)


@pytest.mark.parametrize('farthest, unit, told', [
    (7, 0.001, 'multiples of 8 only, .* png_unit=0.000125 of the task reads them'),
    (7, 0.000125, ''), (8.5, 0.000125, 'multiples of 8 mostly'), (8.5, 0.001, '8 mostly')])
def test_depth_in_the_coding_of_sun_rgbd(farthest: float, unit: float, told: str) -> None:
    task = build_tasks(dict(depth=dict(type='Depth', png_unit=unit)))['depth']
    metres = np.random.default_rng(0).uniform(1.5, farthest, (40, 60))
    seen = Seen()
    for label in (task.from_png(turned_bits(metres)), ):
        seen.add(label, 0, 'a.png')
    doubt = task.doubt(seen)
    assert bool(doubt) == bool(told) and re.search(told, doubt.text if doubt else '')
    if unit == 0.000125 and not told:
        np.testing.assert_allclose(label, metres, atol=1e-3)
    plain = Seen()
    plain.add(metres.astype(np.float32), 0, 'a.png')
    assert not task.doubt(plain)


def divided(steps: np.ndarray) -> np.ndarray:
    return np.rint((steps - steps.min()) / np.ptp(steps) * 10000 + 1)


@pytest.mark.parametrize('options, change, told', [
    ({}, lambda steps: steps % 256, 'go up to 0.255 m .* 255 steps of png_unit'),
    ({}, divided, 'go up to 10.001 m in nearly all images: was each map scaled'),
    ({}, lambda steps: steps[:, ::-1] % 256, 'go up to 0.255 m'),
    ({}, lambda steps: steps, ''), ({}, lambda steps: steps // 8, ''),
    (dict(ignore=()), lambda steps: steps % 256, ''), (dict(ignore=()), divided, '')])
def test_maps_that_all_end_in_one_number(options: dict, change: Callable, told: str) -> None:
    task = build_tasks(dict(depth=dict(type='Depth', png_unit=0.001, **options)))['depth']
    rng, seen = np.random.default_rng(0), Seen()
    for number in range(10):
        slopes = np.arange(40) * rng.integers(3, 15), np.arange(60) * rng.integers(2, 9)
        steps = np.add.outer(*slopes)[::-1] + rng.integers(900, 3000)
        seen.add(task.from_png(change(steps).astype(np.uint16)), 0, f'{number}.png')
    doubt = task.doubt(seen)
    assert bool(doubt) == bool(told) and re.search(told, doubt.text if doubt else '')


def test_a_fixed_camera_sees_the_same_far_point() -> None:
    task = build_tasks(dict(depth=dict(type='Depth', png_unit=0.001)))['depth']
    rng, scene = np.random.default_rng(0), np.add.outer(np.arange(40)[::-1] * 7, np.arange(60) * 5)
    for still in (True, False):
        seen = Seen()
        for number in range(10):
            steps = scene + 900
            row, column = rng.integers(12, 30), rng.integers(5, 45)
            steps[row:row + 8, column:column + 12] //= 2
            steps = steps if still else np.roll(steps, number * 6, 1)
            seen.add(task.from_png(steps.astype(np.uint16)), 0, f'{number}.png')
        assert ('go up to 1.468 m' in str(task.doubt(seen))) != still


def test_units_of_depth_by_default() -> None:
    from mtpsl.tasks.depth import Depth
    with pytest.raises(ValueError, match=r'png_unit .* must be .*0.001 for millimetres, .*TUM'):
        Depth().from_png(np.array([[1500]], np.uint16))
    from mtpsl.tasks.inverse_depth import InverseDepth
    assert InverseDepth().from_png(np.array([[65535]], np.uint16)).item() == pytest.approx(1)
    with pytest.raises(ValueError, match='8 bits is too coarse'):
        InverseDepth().from_png(np.array([[200]], np.uint8))
    cheap = build_tasks(dict(depth=dict(type='Depth', png_unit=0.04)))['depth']
    assert cheap.from_png(np.array([[200]], np.uint8)).item() == pytest.approx(8)


def test_a_task_that_does_not_say_how_refuses_pictures() -> None:
    class Plain(Task):
        valid = loss = activate = stats = score = colorize = None

    with pytest.raises(ValueError, match=r'Plain does not support label pictures .*\.npy'):
        Plain().from_png(np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize('name, pixels, words', [
    ('saliency', np.array([[0, 3]], np.uint8), r'and white \(255\), got the values 0, 3; a map'),
    ('saliency', np.array([[0, 128, 255]], np.uint8), r'as in values=\(0, 255\), ignore=\(128,\)'),
    ('saliency', np.array([[0, 1, 200]], np.uint8), r'0, 1, 200; .*0, 200\), ignore=\(1,\);'),
    ('saliency', np.array([[0, 64, 255]], np.uint8), r'as in values=\(0, 255\), ignore=\(64,\);'),
    ('saliency', np.array([[0, 1, 200, 255]], np.uint8), r'cuts at the middle'),
    ('saliency', np.array([[*range(21), 255]], np.uint8), r'got the values 0, 1, 2, 3, 4; a map'),
    ('saliency', np.array([[0, 32768]], np.uint16), r'values 0, 32768; .*range\(32768\)'),
    ('saliency', np.array([[0, 300]], np.uint16), r'and white \(65535\), got the values 0, 300;'),
    ('saliency', np.array([[0, 127]], np.uint8), 'got the values 0, 127; a map of 0, 1 and 255'),
    ('boundary', np.array([[0, 1, 255]], np.uint8), 'got the values 0, 1, 255; a map'),
    ('boundary', np.array([[1, 255]], np.uint8), 'got the values 1, 255; a map'),
    ('semseg', np.eye(3, dtype=np.uint8)[None], 'must hold class ids .* colours must be turned'),
    ('semseg', np.zeros((2, 2), np.float32), 'must hold class ids .* got float32'),
    ('depth', np.full((2, 2), 200, np.uint8), 'of 8 bits is too coarse; save 16 bits'),
    ('boundary', np.eye(3, dtype=np.uint8)[None], 'an 8-bit mask of one channel, got uint8'),
    ('saliency', np.zeros((2, 2), np.int32), 'an 8-bit mask of one channel, got int32'),
    ('normal', np.zeros((2, 2), np.uint8), r'8-bit RGB, got uint8 of shape \(2, 2\)'),
    ('normal', np.zeros((2, 2, 4), np.uint8), r'8-bit RGB, got uint8 of shape \(2, 2, 4\)'),
    ('depth', np.zeros((2, 2), np.float32), 'integers of one channel, got float32'),
    ('disparity', np.eye(3, dtype=np.uint8)[None], 'a picture of disparity must be integers')])
def test_other_pictures_are_refused(name: str, pixels: np.ndarray, words: str) -> None:
    task: Task = TASKS[name]
    with pytest.raises(ValueError, match=words):
        task.from_png(pixels)
