"""What a look at labels keeps of them."""

import cv2
import numpy as np
import pytest
import torch

from mtpsl.tasks import build_tasks
from mtpsl.tasks.one_label import KEPT
from mtpsl.tasks.seen import Doubt, Seen


@pytest.mark.parametrize('size', [(1000, 750), (500, 1000), (480, 640), (7, 9)])
def test_the_values_that_are_kept_are_from_all_over_a_map(size: tuple[int, int]) -> None:
    """Not from one column, as with a stride of the map's width."""
    label = np.full(size, 2.0, np.float32)
    label[:, 0] = 1.0
    seen = Seen()
    seen.add(label, 0.0)
    values = seen.labels[0].some
    assert len(values) == min(label.size, KEPT)
    assert (values == 1).mean() < max(3 / size[1], 0.2)


def drawn(draw, *args: object) -> np.ndarray:
    return draw(np.zeros((120, 160), np.uint8), *args)


@pytest.mark.parametrize('label, width', [
    (drawn(cv2.rectangle, (10, 10), (90, 70), 1), 1),
    (drawn(cv2.rectangle, (0, 0), (159, 119), 1), 1),  # along the frame
    (drawn(cv2.line, (0, 0), (119, 119), 1), 1),
    (drawn(cv2.rectangle, (10, 10), (12, 110), 1, -1), 3),
    *((one := drawn(cv2.circle, (80, 60), 50, 1, thick), one.sum() / (2 * np.pi * 50))
      for thick in (1, 2, 3, 5, 7)),
    *((one := drawn(cv2.line, (5, 5), (150, 60), 1, thick), one.sum() / np.hypot(145, 55))
      for thick in (1, 2, 3, 5, 7)),
    (np.full((4, 4), 255, np.uint8), 0), (np.full((4, 4), 2, np.uint8), 0)])
def test_the_width_of_lines_does_not_depend_on_their_number(label: np.ndarray,
                                                            width: float) -> None:
    """It is about the area divided by the length, which is known of circles and lines."""
    seen = Seen()
    seen.add(label, 255)
    seen.add(np.hstack([label, label * 0, label]), 255)
    assert [one.width for one in seen.labels] == pytest.approx([width] * 2, rel=0.13)


@pytest.mark.parametrize('name, known, share, published, told', [
    ('background', 10, 0.5, False, True), ('__background__', 8, 0.1, False, True),
    ('wall', 10, 0.5, False, False), ('background', 10, 0.5, True, False),
    ('background', 7, 0.5, False, False), ('background', 10, 0.02, False, False)])
def test_a_background_that_is_unknown(name, known, share, published, told) -> None:
    task = build_tasks(dict(semseg=dict(type='Semseg', class_names=(name, 'a', 'b'))))['semseg']
    label = np.random.default_rng(0).integers(1, 3, (40, 50)).astype(np.uint8)
    label[:round(40 * share)] = 255
    seen = Seen(published)
    for _ in range(known):
        seen.add(label, 255)
    doubt = task.doubt(seen)
    assert told == bool(doubt and f'hold 0 ({name}) in none of {known}' in doubt.text
                        and '((0, 255), 1, 2, ...)' in doubt.text)
    seen.add(label[-3:], 255)  # one that is known everywhere says nothing of the others
    assert not told or f'in none of {known + 1}' in task.doubt(seen).text
    often = Seen.union([seen])
    for _ in range(known):  # many such: it is just rare
        often.add(label[-3:], 255)
    assert 'pixels are unknown (255)' not in (task.doubt(often) or Doubt('')).text
    seen.add(np.zeros_like(label), 255)
    assert not task.doubt(seen)


@pytest.mark.parametrize('name, ids, images, options, told', [
    ('wall', (1, 2), 8, {}, True), ('wall', (1, 2), 7, {}, False), ('wall', (2, 2), 8, {}, False),
    ('wall', (0, 2), 8, {}, False), ('background', (1, 2), 8, {}, False),
    ('_void_', (1, 2), 8, {}, False), ('unused', (1, 2), 8, {}, False),
    ('wall', (1, 2), 8, dict(values=(0, 1, 2)), False)])
def test_ids_from_1_in_all_labels(name, ids, images, options, told) -> None:
    names = (name, 'a', 'b')
    task = build_tasks(dict(semseg=dict(type='Semseg', class_names=names, **options)))['semseg']
    seen = Seen()
    for _ in range(images):
        seen.add(np.repeat(np.uint8(ids), 50)[None].repeat(9, 0), 255)
    doubt = task.doubt(seen)
    assert told == bool(doubt and f'0 ({name}) in none of 8' in doubt.text
                        and 'from 1 (a) to 2 (b): do ids begin at 1?' in doubt.text
                        and 'values=(1, 2) for the task' in doubt.text)
    few = np.repeat(np.uint8(ids), 20_000)[None].repeat(9, 0)
    few[0, 0] = 0  # seen, though it is one pixel of many
    for _ in range(images):
        seen.add(few, 255)
    assert not task.doubt(seen) or 'do ids begin at 1?' not in task.doubt(seen).text


@pytest.mark.parametrize('name, ids, options, published, told', [
    ('unlabeled', 3, {}, False, True), ('Void', 3, {}, False, True), ('road', 3, {}, False, False),
    ('unlabeled', 3, {}, True, False), ('unlabeled', 2, {}, False, False),
    ('unlabeled', 3, dict(ignore=(0,)), False, False),
    ('unlabeled', 3, dict(values=(0, 1, 2)), False, False)])
def test_a_class_that_is_none_by_its_name(name, ids, options, published, told) -> None:
    task = build_tasks(dict(semseg=dict(type='Semseg', class_names=(name, 'sky', 'wall'),
                                        **options)))['semseg']
    seen, rng = Seen(published=published), np.random.default_rng(0)
    for _ in range(10):
        blocks = rng.integers(3 - ids, 3, (4, 4)).repeat(8, 0).repeat(8, 1)
        seen.add(task.translate(blocks[None].astype(np.uint8)), 255)
    doubt = task.doubt(seen)
    assert bool(doubt and f'hold 0 ({name}) in 10 of 10' in doubt.text) == told


@pytest.mark.parametrize('kind, divide, told', [
    ('Depth', np.median, 'median of 1 m in most images'), ('Depth', np.mean, 'a mean of 1 m in'),
    ('InverseDepth', np.median, 'a median of 1'), ('Depth', lambda depth: 2.0, '')])
def test_depth_that_was_divided_by_its_own_median(kind, divide, told) -> None:
    task, seen, rng = build_tasks(dict(depth=dict(type=kind)))['depth'], Seen(), (
        np.random.default_rng(0))
    for _ in range(10):
        depth = rng.uniform(2, 5) * rng.uniform(1, 3, (40, 51)).astype(np.float32) ** 2
        seen.add((depth / divide(depth)).astype(np.float32), 0)
    doubt = task.doubt(seen)
    assert told in doubt.text if told else doubt is None
    assert not build_tasks(dict(depth=dict(type=kind, ignore=())))['depth'].doubt(seen)


def test_depth_of_a_camera_that_looks_straight_down_is_no_division() -> None:
    seen, rng = Seen(), np.random.default_rng(0)
    for _ in range(10):
        seen.add(rng.normal(30, 0.05, (40, 51)).astype(np.float32), 0)
    assert seen.normalised is None


@pytest.mark.parametrize('resized, told', [(cv2.INTER_LINEAR, True), (cv2.INTER_NEAREST, False)])
@pytest.mark.parametrize('published', [False, True])
def test_depth_whose_holes_were_blended(resized: int, told: bool, published: bool) -> None:
    task, seen = build_tasks(dict(depth=dict(type='Depth')))['depth'], Seen(published)
    rng = np.random.default_rng(0)
    for _ in range(10):
        depth = np.add.outer(np.linspace(3, 1, 60), np.linspace(0, 2, 80)).astype(np.float32)
        for row, column in rng.integers(0, 50, (6, 2)):
            depth[row:row + 9, column:column + 9] = 0
        depth *= rng.uniform(1, 2)
        seen.add(cv2.resize(depth, (110, 90), interpolation=resized), 0)
    doubt = task.doubt(seen)
    assert (told and not published) == bool(doubt and 'beside unknown ones: were they resized'
                                            in doubt.text)


@pytest.mark.parametrize('blank, tested, name, told', [
    (12, 0, 'background', True), (12, 1, 'background', False), (2, 0, 'background', False),
    (12, 0, 'wall', False), (0, 12, 'background', True)])
def test_images_that_are_not_labelled_yet(blank, tested, name, told) -> None:
    names = (name, 'cat', 'dog')
    task = build_tasks(dict(semseg=dict(type='Semseg', class_names=names)))['semseg']
    label = np.arange(60, dtype=np.uint8).reshape(6, 10) % 3
    splits = Seen(), Seen()
    for seen, number in zip(splits, (blank, tested)):
        for place in range(20):
            seen.add(label * (place >= number), 255, f'{place}.png')
    text = task.unlike(*splits)
    assert told == ('nothing but the background in 12 of 20 labels' in text)
    assert told == ('such as 0.png' in text)


@pytest.mark.parametrize('vector, told', [
    ((0.5, 0.1), 'to the right (x > 0) in the mean in 10 of 10: are x and y exchanged?'),
    ((-0.5, 0.1), 'to the left'), ((0.1, -0.5), 'down (y < 0) in the mean'), ((0.0, 0.5), ''),
    ((0.05, -0.05), '')])
def test_normals_that_no_scene_has(vector, told) -> None:
    task, rng = build_tasks(dict(normal=dict(type='Normal')))['normal'], np.random.default_rng(0)
    seen, few = Seen(), Seen(published=True)
    for _ in range(10):
        values = rng.normal((*vector, 0.7), 0.1, (9, 9, 3))
        values = (values / np.linalg.norm(values, axis=2, keepdims=True)).astype(np.float32)
        seen.add(values, 0)
        few.add(values, 0)
    doubt = task.doubt(seen)
    assert told in doubt.text if told else doubt is None
    assert not task.doubt(few)


@pytest.mark.parametrize('down, told', [(0, False), (2, False), (6, True), (12, True)])
def test_normals_of_two_systems_in_one_set(down: int, told: bool) -> None:
    task, seen = build_tasks(dict(normal=dict(type='Normal')))['normal'], Seen()
    for number in range(24):
        sign = -1 if number < down else 1
        label = np.broadcast_to(np.float32([0.36, sign * 0.48, 0.8]), (8, 9, 3)).copy()
        label[0, 0] = (0, 0, 1)
        seen.add(label, 0, f'{number}.png')
    doubt = task.doubt(seen)
    assert told == bool(doubt and f'up (y > 0) in the mean in {24 - down} of 24' in doubt.text
                        and 'down in' in doubt.text and '(0.png, ...)' in doubt.text)


@pytest.mark.parametrize('resized, told', [
    (cv2.INTER_LINEAR, True), (cv2.INTER_NEAREST, False), (cv2.INTER_AREA, True)])
def test_ids_that_were_blended(resized: int, told: bool) -> None:
    names = tuple(f'class {number}' for number in range(9))
    task = build_tasks(dict(semseg=dict(type='Semseg', class_names=names)))['semseg']
    rng, seen = np.random.default_rng(0), Seen()
    for _ in range(8):
        label = np.kron(rng.integers(0, 9, (20, 20), np.uint8), np.ones((12, 12), np.uint8))
        seen.add(cv2.resize(label, (130, 150), interpolation=resized), 255)
    doubt = task.doubt(seen)
    assert told == bool(doubt and 'ids that lie between theirs' in doubt.text)


@pytest.mark.parametrize('empty, full, published, told', [
    (0, 0, False, False), (4, 0, False, True), (1, 2, False, True), (4, 0, True, False)])
def test_masks_without_an_object_teach_saliency_nothing(empty, full, published, told) -> None:
    task, seen = build_tasks(dict(saliency=dict(type='Saliency')))['saliency'], Seen(published)
    mixed = np.zeros((10, 12), np.uint8)
    mixed[2:5] = 1
    for number in range(20):
        seen.add(mixed * 0 if number < empty else mixed * 0 + 1 if number < empty + full else mixed,
                 255)
    text = task.idle(seen)
    assert told == bool(text) == (f'are of one value in {empty + full} of 20' in text)
    assert (full == 2) == (f'. {full} of them are a yes everywhere' in text)
    logits = torch.randn(1, 2, 10, 12, requires_grad=True)  # the loss of such a mask
    task.loss(logits, torch.zeros(1, 1, 10, 12, dtype=torch.uint8)).sum().backward()
    assert not logits.grad.any()


@pytest.mark.parametrize('sky', [False, True])
@pytest.mark.parametrize('unit, ignore, told', [(None, None, True), (1.0, None, False),
                                                (None, (), False)])
def test_a_z_buffer_is_no_depth(unit: float | None, ignore: tuple | None, told: bool,
                                sky: bool) -> None:
    near, far, rng = 0.1, 100.0, np.random.default_rng(0)
    task = build_tasks(dict(depth=dict(type='Depth', npy_unit=unit, ignore=ignore)))['depth']
    seen = Seen()
    for number in range(10):
        depth = np.exp(rng.uniform(np.log(0.8), np.log(40), (40, 30)))
        z = far * (depth - near) / (depth * (far - near))
        assert near * far / (far - z * (far - near)) == pytest.approx(depth)  # as it says
        z[:3] = 1 if sky and number % 2 else z[:3]
        seen.add(z.astype(np.float32), 0, 'a.npy')
    doubt = task.doubt(seen)
    assert told == bool(doubt and 'as the values of a z-buffer' in doubt.text)


def test_a_camera_above_a_table_is_no_z_buffer() -> None:
    task = build_tasks(dict(depth=dict(type='Depth')))['depth']
    seen, rng = Seen(), np.random.default_rng(0)
    for number in range(10):
        depth = np.full((40, 30), 0.95) + rng.normal(0, 0.002, (40, 30))
        depth[5:20, 4 + number:20] -= rng.uniform(0.02, 0.12)
        seen.add(depth.astype(np.float32), 0, 'a.npy')
    assert 'z-buffer' not in str(task.doubt(seen))


def test_one_set_of_near_and_far_scenes_may_be_meant() -> None:
    found = []
    for ignore in (None, ()):
        task = build_tasks(dict(depth=dict(type='Depth', ignore=ignore)))['depth']
        seen, rng = Seen(), np.random.default_rng(0)
        for number in range(8):
            seen.add(rng.uniform(1, 2, (40, 30)).astype(np.float32) * (0.2, 20)[number % 2], 0)
        found.append(task.doubt(seen))
    assert 'two units' in found[0].text and 'ignore=() of the task' in found[0].text
    assert found[1] is None


@pytest.mark.parametrize('value, share, told', [
    (5.0, 0.3, 'one and the same number on 30%'), (5.0, 0.1, ''),
    (0.001, 0.3, 'exactly 0.001 m, their smallest'), (0.001, 0.02, ''),
    (None, 0.3, 'one and the same number on 30%')])
def test_depth_whose_holes_were_filled(value: float | None, share: float, told: str) -> None:
    task = build_tasks(dict(depth=dict(type='Depth')))['depth']
    seen, rng = Seen(), np.random.default_rng(0)
    for number in range(10):
        label = rng.uniform(2, 9.5, (20, 50)).astype(np.float32)
        label[:, :round(50 * share)] = label.mean() if value is None else value
        seen.add(label, 0.0, f'{number}.npy')
    doubt = task.doubt(seen)
    assert bool(doubt) == bool(told) and (not told or told in doubt.text)


@pytest.mark.parametrize('share, ignore, published, told', [
    (0.3, None, False, True), (0.02, None, False, False), (0.3, (), False, False),
    (0.3, None, True, False)])
def test_depth_that_was_clipped(share, ignore, published, told) -> None:
    task = build_tasks(dict(depth=dict(type='Depth', ignore=ignore)))['depth']
    seen, rng = Seen(published), np.random.default_rng(0)
    for number in range(10):
        label = rng.uniform(2, 9.5, (20, 30)).astype(np.float32)
        if number > 1:  # some see nothing that is far
            label[:round(20 * share), :round(30 * (1 if share > 0.1 else 0.5))] = 10
        seen.add(label, 0.0)
    doubt = task.doubt(seen)
    assert told == bool(doubt and 'hold exactly 10 m, their largest' in doubt.text
                        and 'ignore=(10,)' in doubt.text)


@pytest.mark.parametrize('share, told', [(0.4, True), (0.1, False)])
def test_holes_of_normals_that_were_filled_with_one_vector(share: float, told: bool) -> None:
    task, rng = build_tasks(dict(normal=dict(type='Normal')))['normal'], np.random.default_rng(0)
    filled, planes = Seen(), Seen()
    for number in range(10):
        values = rng.normal((0, 0.3, 0.7), 0.1, (20, 20, 3))
        values = (values / np.linalg.norm(values, axis=2, keepdims=True)).astype(np.float32)
        for seen, vector in ((filled, (0, 0, 1)), (planes, values[0, 0])):
            label = values.copy()
            label.reshape(-1, 3)[:round(share * 400)] = vector
            seen.add(label, 0, f'{number}.npy')
    doubt = task.doubt(filled)
    assert told == ('one and the same vector, (0, 0, 1), on 4' in str(doubt))
    assert not task.doubt(planes)  # each its own, as a rendered floor seen from elsewhere


@pytest.mark.parametrize('task', [dict(type='Saliency'), dict(
    type='Semseg', class_names=('a', 'b'))])
@pytest.mark.parametrize('other', ['outlines', 'small', 'filled'])
def test_outlines_in_the_place_of_filled_shapes(task: dict, other: str) -> None:
    built = build_tasks(dict(mask=task))['mask']
    rng, splits = np.random.default_rng(0), (Seen(), Seen())
    for seen, kind in zip(splits, ('filled', other)):
        for number in range(10):
            label, ends = np.zeros((64, 64), np.uint8), rng.integers(4, 20, 2)
            size = (7, 9) if kind == 'small' else (34, 38)
            cv2.ellipse(label, (ends + 20).tolist(), (size[0] // 2, size[1] // 2), 0, 0, 360, 1,
                        1 if kind == 'outlines' else -1)
            seen.add(label, 255, f'{number}.png')
    for one, two in (splits, splits[::-1]):
        told = built.unlike(one, two)
        assert ('were outlines saved' in told) == (other == 'outlines'), told
    told = built.unlike(*splits)
    assert other != 'outlines' or told.startswith(
        'are drawn as lines in evaluation and as regions in training')
