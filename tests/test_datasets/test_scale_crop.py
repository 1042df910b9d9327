"""RandomScaleCrop against a plain computation."""

import cv2
import numpy as np
import pytest

from mtpsl.datasets.transforms import RandomCrop, RandomFlip, RandomScale, RandomScaleCrop
from mtpsl.datasets.transforms.geometric import Zoom
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(
    semseg=dict(type='Semseg'), depth=dict(type='Depth'), normal=dict(type='Normal'),
    inverse=dict(type='InverseDepth')))
H, W = 48, 60


def sample() -> dict:
    """Depth says where a pixel is; normals turn from left to right; the corner is unknown."""
    r, c = np.indices((H, W))
    angle = c / W * 2.0
    normal = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], 2).astype(np.float32)
    normal[:6, :6] = 0
    depth = (1 + 100 * r + c).astype(np.float32)
    return dict(img=np.stack([r, c, r + c], 2).astype(np.uint8), img_shape=(H, W), tasks=TASKS,
                gt=dict(semseg=((7 * r + c) % 21).astype(np.uint8), depth=depth, normal=normal,
                        inverse=1 / depth))


def place(depth: np.ndarray, scale: float) -> tuple[int, int]:
    """Top and left of the crop, from the depth of its first pixel."""
    return divmod(round(float(depth[0, 0]) * scale) - 1, 100)


@pytest.mark.parametrize('scale', [1.2, 1.5, 2.0])
def test_a_crop_is_zoomed_back_to_the_size_of_the_image(scale: float) -> None:
    np.random.seed(0)
    before = sample()['gt']
    height, width = int(H / scale), int(W / scale)
    rows = np.floor(np.arange(H) * (height / H)).astype(int)
    columns = np.floor(np.arange(W) * (width / W)).astype(int)
    for _ in range(20):
        after = RandomScaleCrop([scale]).transform(sample())
        assert after['img'].shape == (H, W, 3) and after['img_shape'] == (H, W)
        top, left = place(after['gt']['depth'], scale)
        cut = np.ix_(top + rows, left + columns)
        np.testing.assert_array_equal(after['gt']['semseg'], before['semseg'][cut])
        np.testing.assert_allclose(after['gt']['depth'], before['depth'][cut] / scale, rtol=1e-6)
        np.testing.assert_allclose(after['gt']['inverse'], before['inverse'][cut] * scale,
                                   rtol=1e-6)
        assert {name: label.dtype for name, label in after['gt'].items()} == {
            name: label.dtype for name, label in before.items()}
        # The image is resized bilinearly: its first channel is the row, sampled at the centres.
        centres = ((np.arange(H) + 0.5) * height / H - 0.5).clip(0, height - 1) + top
        np.testing.assert_allclose(after['img'][:, 5, 0], centres, atol=1)


def test_normals_are_interpolated_and_renormalised() -> None:
    np.random.seed(3)
    scale = 1.5
    before, after = sample()['gt'], RandomScaleCrop([scale]).transform(sample())['gt']
    top, left = place(after['depth'], scale)
    height, width = int(H / scale), int(W / scale)
    crop = before['normal'][top:top + height, left:left + width]
    expected = cv2.resize(crop, (W, H), interpolation=cv2.INTER_LINEAR)
    length = np.linalg.norm(expected, axis=2)
    known = after['normal'].any(2)
    np.testing.assert_allclose(np.linalg.norm(after['normal'], axis=2)[known], 1, rtol=1e-5)
    np.testing.assert_allclose(after['normal'][known], (expected / length[..., None])[known],
                               atol=1e-5)
    # Blending shortens vectors here, so that the published way would not have given unit ones.
    assert length[known].min() < 0.9999
    # What is known is decided by the nearest pixel.
    rows, columns = (np.floor(np.arange(n) * (m / n)).astype(int)
                     for n, m in ((H, height), (W, width)))
    assert (known == crop.any(2)[np.ix_(rows, columns)]).all()


def test_scales_and_places_are_drawn_uniformly() -> None:
    np.random.seed(0)
    drawn, places = [], {1.2: set(), 1.5: set()}
    for _ in range(900):
        gt = RandomScaleCrop((1.0, 1.2, 1.5)).transform(sample())['gt']
        scale = min((1.0, 1.2, 1.5), key=lambda scale: misfit(gt['depth'], scale))
        drawn.append(scale)
        if scale > 1:
            places[scale].add(place(gt['depth'], scale)[0])
    assert all(250 < drawn.count(scale) < 350 for scale in (1.0, 1.2, 1.5))
    assert places[1.2] == set(range(H - 40 + 1)) and places[1.5] == set(range(H - 32 + 1))


def misfit(depth: np.ndarray, scale: float) -> float:
    """How far the rows from top to bottom are from those of a crop of this scale."""
    return abs((depth[-1, 0] - depth[0, 0]) * scale / 100 - (int(H / scale) - 1))


@pytest.mark.parametrize('size, scale, crop', [
    ((128, 256), 1.2, (106, 213)), ((128, 256), 1.5, (85, 170)), ((2, 3), 3.0, (1, 1)),
    ((1, 1), 3.0, (1, 1))])
def test_crops_are_rounded_down_and_never_empty(size, scale, crop) -> None:
    r, c = np.indices(size)
    depth = (1 + 1000 * r + c).astype(np.float32)
    results = dict(img=np.zeros((*size, 3), np.uint8), tasks=TASKS, gt=dict(depth=depth))
    after = RandomScaleCrop([scale]).transform(results)['gt']['depth'] * scale
    rows, columns = np.divmod(np.rint(after - 1).astype(int), 1000)
    assert after.shape == size
    assert (rows[-1, 0] - rows[0, 0] + 1, columns[0, -1] - columns[0, 0] + 1) == crop


def test_the_image_is_resized_bilinearly() -> None:
    np.random.seed(1)
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    results = sample() | dict(img=image)
    after = RandomScaleCrop([1.5]).transform(results)
    top, left = place(after['gt']['depth'], 1.5)
    crop = image[top:top + int(H / 1.5), left:left + int(W / 1.5)]
    np.testing.assert_array_equal(
        after['img'], cv2.resize(crop, (W, H), interpolation=cv2.INTER_LINEAR))


def test_no_zoom_changes_nothing() -> None:
    before, after = sample(), RandomScaleCrop((1,)).transform(sample())
    np.testing.assert_array_equal(before['img'], after['img'])
    for name, label in before['gt'].items():
        np.testing.assert_array_equal(label, after['gt'][name])


@pytest.mark.parametrize('scales', [(), (0.5, 1.0), 1.5, ('1',), None])
def test_bad_scales(scales: object) -> None:
    with pytest.raises(ValueError, match='RandomScaleCrop: scales must be numbers of at least 1'):
        RandomScaleCrop(scales)


def test_it_says_what_it_is() -> None:
    assert repr(RandomScaleCrop()) == 'RandomScaleCrop(scales=(1.0, 1.2, 1.5))'


@pytest.mark.parametrize('steps, known', [
    ([RandomScaleCrop((1.5,))], True), ([RandomScaleCrop((1.5,)), RandomFlip(0.0)], True),
    ([RandomScaleCrop((1.5,)), RandomFlip(1.0)], False),
    ([RandomFlip(1.0), RandomScaleCrop((1.5,))], False),
    ([RandomScaleCrop((1.5,)), RandomScaleCrop((1.5,))], False),
    ([RandomScale((0.5, 0.5))], False), ([RandomCrop((8, 8), None)], False)])
def test_a_zoom_is_told_only_where_it_is_all_that_happened(steps, known):
    results = dict(img=np.zeros((24, 24, 3), np.uint8), gt={}, tasks={},
                   zoom=Zoom(0, 24, 0, 24, 1.0))
    for step in steps:
        results = step.transform(results)
    assert (results['zoom'] is not None) == known
