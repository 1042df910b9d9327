"""Intersections against numbers worked out by hand, and against a search without culling."""
from collections.abc import Sequence

import numpy as np
import pytest

from mtpsl.data_prep.synthetic.casting import World
from mtpsl.data_prep.synthetic.geometry import Primitive, Thing
from mtpsl.data_prep.synthetic.scene import compose_scene
from mtpsl.data_prep.synthetic.shapes import aim, blob, box, limb, tube, turn_x, turn_z

S = np.sqrt(0.5)


def hit(primitive: Primitive, origin: Sequence[float] | np.ndarray,
        direction: Sequence[float] | np.ndarray) -> tuple[float, np.ndarray] | None:
    """(distance, normal) of one ray, or None."""
    world = World([Thing(0, (primitive,), np.eye(3), np.zeros(3))])
    origin = np.array(origin, dtype=np.float32)[:, None]
    direction = np.array(direction, dtype=np.float32)[:, None]
    direction /= np.linalg.norm(direction)
    distance, index = world.first_hits(origin, direction, 1000.0)
    if index[0] < 0:
        assert np.isinf(distance[0])
        return None
    return distance[0], world.normals(index, origin + distance * direction)[:, 0]


PLANE = Primitive('plane', np.array([0, 0, 1.0]), np.eye(3), np.ones(3))
CONE = tube((0, 0, 0), (0, 0, 2), 1.0, 0, 0.0)  # base radius 1 at z = 0, apex at z = 2
FRUSTUM = tube((0, 0, 0), (0, 0, 2), 1.0, 0, 0.5)
CASES = {
    'plane from above': (PLANE, (0, 0, 4), (1, 0, -1), 3 / S, (0, 0, 1)),
    'plane from below': (PLANE, (0, 0, 0), (0, 0, 1), None, None),
    'sphere head on': (blob((0, 5, 0), (2, 2, 2), 0), (0, 0, 0), (0, 1, 0), 3, (0, -1, 0)),
    # Offset 1 from the centre line of radius 2: 5 - sqrt(3); normal (1, -sqrt(3), 0) / 2.
    'sphere off centre': (blob((0, 5, 0), (2, 2, 2), 0), (1, 0, 0), (0, 1, 0), 5 - 3 ** 0.5,
                          (0.5, -3 ** 0.5 / 2, 0)),
    # x^2 / 4 + y^2 = 1 at x = 1: y = -sqrt(3) / 2, gradient (1 / 2, -sqrt(3)).
    'ellipsoid': (blob((0, 5, 0), (2, 1, 1), 0), (1, 0, 0), (0, 1, 0), 5 - 3 ** 0.5 / 2,
                  np.array([0.5, -3 ** 0.5, 0]) / 3.25 ** 0.5),
    'sphere behind': (blob((0, -5, 0), (2, 2, 2), 0), (0, 0, 0), (0, 1, 0), None, None),
    'sphere missed': (blob((0, 5, 0), (2, 2, 2), 0), (2.01, 0, 0), (0, 1, 0), None, None),
    'box face': (box((0, 4, 0), (2, 2, 2), 0), (0.5, 0, 0.5), (0, 1, 0), 3, (0, -1, 0)),
    'box top': (box((0, 0, 0), (2, 2, 2), 0), (0.2, 0.3, 9), (0, 0, -1), 8, (0, 0, 1)),
    # A corner edge turned towards the viewer: distance 4 - sqrt(2) + 0.1 beside the edge.
    'box turned': (box((0, 4, 0), (2, 2, 2), 0, rotation=turn_z(np.pi / 4)), (0.1, 0, 0),
                   (0, 1, 0), 4 - 2 ** 0.5 + 0.1, (S, -S, 0)),
    'box missed': (box((0, 4, 0), (2, 2, 2), 0), (1.01, 0, 0), (0, 1, 0), None, None),
    # Half-width 1 at the bottom, 1/2 at the top, so 3/4 at mid-height; the side leans by 1/4.
    'wedge': (box((0, 4, 0), (2, 2, 2), 0, 0.5), (0, 0, 0), (0, 1, 0), 3.25,
              np.array([0, -1, 0.25]) / (1 + 1 / 16) ** 0.5),
    'wedge beside its top': (box((0, 4, 0), (2, 2, 2), 0, 0.5), (0.6, 0, 0.9), (0, 1, 0), None,
                             None),
    'cylinder side': (tube((0, 3, -1), (0, 3, 1), 1, 0), (0.6, 0, 0), (0, 1, 0), 3 - 0.8,
                      (0.6, -0.8, 0)),
    'cylinder lid': (tube((0, 3, -1), (0, 3, 1), 1, 0), (0.5, 3, 5), (0, 0, -1), 4, (0, 0, 1)),
    'cylinder above': (tube((0, 3, -1), (0, 3, 1), 1, 0), (0, 0, 1.01), (0, 1, 0), None, None),
    # Radius 1/2 at z = 1; the side rises 2 per 1 inwards, so its normal is (., ., 1/2).
    'cone side': (CONE, (0, -5, 1), (0, 1, 0), 4.5, np.array([0, -1, 0.5]) / 1.25 ** 0.5),
    # Steeper than the side: straight down meets it at x = 1/4, z = 3/2.
    'cone from above': (CONE, (0.25, 0, 5), (0, 0, -1), 3.5, np.array([1, 0, 0.5]) / 1.25 ** 0.5),
    'cone base': (CONE, (0.25, 0, -5), (0, 0, 1), 5, (0, 0, -1)),
    'cone over its tip': (CONE, (0, -5, 2.01), (0, 1, 0), None, None),
    'frustum side': (FRUSTUM, (0, -5, 1), (0, 1, 0), 4.25,
                     np.array([0, -1, 0.25]) / (1 + 1 / 16) ** 0.5),
    'frustum lid': (FRUSTUM, (0.4, 0, 5), (0, 0, -1), 3, (0, 0, 1)),
    'capsule side': (limb((-1, 4, 0), (1, 4, 0), 0.5, 0), (0.9, 0, 0), (0, 1, 0), 3.5, (0, -1, 0)),
    # 0.3 beyond the end of the segment: sphere of radius 1/2, so 0.4 short of its plane.
    'capsule end': (limb((-1, 4, 0), (1, 4, 0), 0.5, 0), (1.3, 0, 0), (0, 1, 0), 3.6,
                    (0.6, -0.8, 0)),
    'capsule along': (limb((0, 3, 0), (0, 5, 0), 0.5, 0), (0.3, 0, 0), (0, 1, 0), 2.6,
                      (0.6, -0.8, 0)),
    'capsule flattened': (limb((0, 4, -1), (0, 4, 1), 0.5, 0, 0, 0.4), (0, 0, 0), (0, 1, 0), 3.8,
                          (0, -1, 0)),
    'capsule missed': (limb((-1, 4, 0), (1, 4, 0), 0.5, 0), (1.51, 0, 0), (0, 1, 0), None, None),
}


@pytest.mark.parametrize('name', CASES)
def test_hit_by_hand(name: str) -> None:
    primitive, origin, direction, distance, normal = CASES[name]
    found = hit(primitive, origin, direction)
    if distance is None:
        assert found is None
    else:
        assert found[0] == pytest.approx(distance, abs=2e-5)
        np.testing.assert_allclose(found[1], normal, atol=2e-4)


def test_hit_moves_with_the_primitive() -> None:
    rotation, offset = turn_z(0.7) @ turn_x(0.4), np.array([1.0, -2.0, 0.5])
    origin, direction = np.array([0.25, -4.0, 1.2]), np.array([0.02, 1.0, -0.05])
    for primitive in (CONE, FRUSTUM, limb((0, 0, 0), (0, 0.3, 2), 0.4, 0, 0, 0.6),
                      box((0, 0, 1), (1, 1, 2), 0, 0.6), blob((0, 0, 1), (1, 0.5, 0.7), 0)):
        here = hit(primitive, origin, direction)
        there = hit(primitive.moved(rotation, offset), rotation @ origin + offset,
                    rotation @ direction)
        assert there[0] == pytest.approx(here[0], abs=1e-4)
        np.testing.assert_allclose(there[1], rotation @ here[1], atol=1e-3)


@pytest.mark.parametrize('direction', [(0, 0, 1), (0, 0, -2), (1, 0, 0), (0.3, -0.5, 0.2)])
def test_aim_is_a_rotation_onto_the_direction(direction: tuple[float, ...]) -> None:
    rotation = aim(direction)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation[:, 2] * np.linalg.norm(direction), direction, atol=1e-12)


def test_nearest_of_several_wins_and_the_limit_holds() -> None:
    things = [Thing(0, (blob((0, y, 0), (1, 1, 1), 0),), np.eye(3), np.zeros(3)) for y in (9, 5, 7)]
    world = World(things)
    origin, direction = np.zeros((3, 1), np.float32), np.array([[0], [1], [0]], np.float32)
    assert world.first_hits(origin, direction, 100.0)[1][0] == 1
    assert world.first_hits(origin, direction, 3.9)[1][0] == -1


@pytest.mark.parametrize('seed', range(4))
def test_culling_loses_no_hit(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    scene = compose_scene(rng, 1.0)
    world = World(scene.things)
    eye = scene.camera.position.astype(np.float32)[:, None]
    directions = rng.normal(size=(3, 1500)) * 0.35 + np.array([[0], [1], [-0.15]])
    directions = (directions / np.linalg.norm(directions, axis=0)).astype(np.float32)
    distance, index = world.first_hits(eye, directions, 60.0)

    def every(origins: np.ndarray, rays: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
        return np.stack([world._enter(world.primitives[n].shape, np.full(1500, n), origins, rays)
                         for n in numbers])

    brute = every(np.broadcast_to(eye, directions.shape), directions, range(len(world.primitives)))
    brute[brute > 60] = np.inf
    np.testing.assert_allclose(distance, brute.min(axis=0), atol=1e-3)
    assert (index >= 0).mean() > 0.3 and len(np.unique(index)) > 10

    sun = scene.light.direction.astype(np.float32)[:, None]
    points = (rng.uniform(-1, 1, (3, 1500)) * 3 + [[0], [4], [3]]).astype(np.float32)
    solid = np.flatnonzero(np.isfinite(world.radius))
    hidden = np.isfinite(every(points, np.broadcast_to(sun, points.shape), solid)).any(axis=0)
    assert (world.occluded(points, sun) == hidden).mean() > 0.998
    assert hidden.any()


def test_shadow_falls_where_the_sun_says() -> None:
    world = World([Thing(0, (blob((0, 0, 2), (0.5, 0.5, 0.5), 0),), np.eye(3), np.zeros(3))])
    sun = np.array([[S], [0], [S]], dtype=np.float32)
    # The centre of the shadow lies 2 m away from the sun; its half-width along x is 0.5 / S.
    points = np.array([[-2, -2 + 0.69, -2 + 0.73, 0, 2], [0] * 5, [0] * 5], dtype=np.float32)
    assert world.occluded(points, sun).tolist() == [True, True, False, False, False]
