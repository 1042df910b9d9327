"""Normals from depth: against planes, edges, a sphere and rendered scenes."""

import numpy as np
import pytest
from test_conversion.official import plane_depth

from mtpsl.data_prep.conversion import Intrinsics, normals_from_depth
from mtpsl.data_prep.synthetic import render_scene

CAMERA = Intrinsics(90.0, 110.0, 50.5, 30.0)
SHAPE = (80, 120)
TILTED = [(0, 0, 1), (0.5, 0, 1), (0, 0.5, 1), (-0.7, 0.3, 1), (0.4, -0.6, 0.8)]


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angles between unit vectors on the last axis."""
    one, other = one.astype(float), np.asarray(other, float)
    return np.degrees(2 * np.arctan2(np.linalg.norm(one - other, axis=-1),
                                     np.linalg.norm(one + other, axis=-1)))


def unit(vector: tuple[float, float, float]) -> np.ndarray:
    return np.array(vector) / np.linalg.norm(vector)


@pytest.mark.parametrize('vector', TILTED)
@pytest.mark.parametrize('radius', [2, 7])
def test_planes_are_exact_up_to_the_border(vector: tuple[float, float, float],
                                           radius: int) -> None:
    normal = unit(vector)
    depth = plane_depth(normal, 3.0, SHAPE, *CAMERA)
    assert depth.min() > 0  # or the plane is not all before the camera
    found = normals_from_depth(depth, CAMERA, radius=radius)
    assert found.dtype == np.float32 and found.shape == (*SHAPE, 3)
    assert degrees(found, normal).max() < 1e-3
    # Single precision leaves noise.
    noisy = normals_from_depth(depth.astype(np.float32), CAMERA, radius=radius)
    assert degrees(noisy, normal).max() < 0.05


@pytest.mark.parametrize('gap', [0.05, 2.0])
@pytest.mark.parametrize('across', [True, False])
def test_both_sides_of_a_depth_step_are_right(gap: float, across: bool) -> None:
    near, far = unit((0.4, 0.2, 1)), unit((-0.3, 0.1, 1))
    left = plane_depth(near, 2.0, SHAPE, *CAMERA)
    right = plane_depth(far, 2.0 + gap, SHAPE, *CAMERA)
    rows, columns = np.indices(SHAPE)
    # A slanted edge, so that it is no border of the windows everywhere.
    is_left = columns < 45 + rows // 8 if across else rows < 30 + columns // 8
    found = normals_from_depth(np.where(is_left, left, right), CAMERA)
    error = degrees(found, np.where(is_left[..., None], near, far))
    # At the jags of the edge no window is wholly on one side.
    assert np.mean(error < 1e-3) > 0.995


def test_an_edge_straight_up_is_right_at_every_pixel() -> None:
    near, far = unit((0.4, 0.2, 1)), unit((-0.3, 0.1, 1))
    is_left = np.indices(SHAPE)[1] < 50
    depth = np.where(is_left, plane_depth(near, 2.0, SHAPE, *CAMERA),
                     plane_depth(far, 3.0, SHAPE, *CAMERA))
    error = degrees(normals_from_depth(depth, CAMERA), np.where(is_left[..., None], near, far))
    assert error.max() < 1e-3


def test_a_roof_without_a_step_has_two_sides() -> None:
    one, other = unit((-0.6, 0, 1)), unit((0.6, 0, 1))
    depth = np.maximum(plane_depth(one, 3.0, SHAPE, *CAMERA),
                       plane_depth(other, 3.0, SHAPE, *CAMERA))
    is_one = depth == plane_depth(one, 3.0, SHAPE, *CAMERA)
    assert 0.3 < is_one.mean() < 0.7
    error = degrees(normals_from_depth(depth, CAMERA), np.where(is_one[..., None], one, other))
    assert error.max() < 1e-3


def test_a_sphere() -> None:
    camera, shape = Intrinsics(300.0, 300.0, 159.5, 119.5), (240, 320)
    v, u = np.indices(shape)
    ray = np.stack(((u - camera.cx) / camera.fx, -(v - camera.cy) / camera.fy,
                    -np.ones(shape)), -1)
    centre, radius = np.array((0.1, -0.1, -4.0)), 1.2
    along, square = ray @ centre, (ray ** 2).sum(-1)
    root = along ** 2 - square * (centre @ centre - radius ** 2)
    depth = np.where(root > 0, (along - np.sqrt(np.maximum(root, 0))) / square, 0)
    truth = (ray * depth[..., None] - centre) / radius
    found = normals_from_depth(depth, camera, radius=3)
    on = depth > 0
    error = degrees(found[on], truth[on])
    assert error.mean() < 1.2 and np.median(error) < 0.1
    assert not found[~on].any()


@pytest.mark.parametrize('seed', [0, 1])
def test_rendered_scenes(seed: int) -> None:
    height, width = 240, 320
    scene = render_scene(seed, height, width)
    camera = Intrinsics(scene.focal, scene.focal, width / 2 - 0.5, height / 2 - 0.5)
    found = normals_from_depth(scene.depth, camera, radius=3)
    known = scene.depth > 0
    assert found[known].any(-1).mean() > 0.999
    assert not found[~known].any()
    error = degrees(found, scene.normal)[known & found.any(-1)]
    assert np.median(error) < 0.01
    assert np.mean(error < 11.25) > 0.87 and error.mean() < 5


def test_unknown_depth_has_no_normal_and_does_not_disturb_its_neighbours() -> None:
    normal = unit((0.4, 0.2, 1))
    depth = plane_depth(normal, 3.0, SHAPE, *CAMERA)
    bad = np.zeros(SHAPE, bool)
    for row, value in ((10, np.nan), (20, np.inf), (30, -1.0), (40, 0.0)):
        depth[row, 10:15], bad[row, 10:15] = value, True
    known = np.ones(SHAPE, bool)
    known[50, 10:15], depth[50, 10:15] = False, 9.0
    bad |= ~known
    found = normals_from_depth(depth, CAMERA, known)
    assert not found[bad].any()
    assert degrees(found[~bad], normal).max() < 1e-3
    assert np.allclose(np.linalg.norm(found[~bad], axis=-1), 1, atol=1e-6)


def test_too_few_or_narrow_surroundings_have_no_normal() -> None:
    depth = np.zeros(SHAPE)
    depth[20:22] = 2.0  # two rows
    depth[60:63, 60:63] = 2.0  # nine pixels
    assert not normals_from_depth(depth, CAMERA).any()
    assert not normals_from_depth(np.zeros(SHAPE), CAMERA).any()
    # In windows of 5 x 5, nine pixels are enough, two rows still are not.
    found = normals_from_depth(depth, CAMERA, radius=2)
    assert not found[:30].any()
    assert np.allclose(found[60:63, 60:63], (0, 0, 1), atol=1e-6)
