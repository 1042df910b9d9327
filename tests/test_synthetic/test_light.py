"""Light, textures and sensor noise against values worked out by hand."""
import numpy as np
import pytest

from mtpsl.data_prep.synthetic.casting import World
from mtpsl.data_prep.synthetic.geometry import Primitive, Thing, unit
from mtpsl.data_prep.synthetic.render import Renderer, develop
from mtpsl.data_prep.synthetic.scene import Camera, Light, Scene, compose_scene
from mtpsl.data_prep.synthetic.shapes import blob
from mtpsl.data_prep.synthetic.texture import (
    PATTERNS,
    Material,
    noise_table,
    pattern_weight,
    random_material,
    reflectance,
)

SUN = np.array([0.6, 0.0, 0.8])
CENTRE, RADIUS = np.array([0.0, 5.0, 1.2]), 0.5
EYE = np.array([0.0, 0.0, 3.0])
GREEN, RED = np.array([0.2, 0.6, 0.3]), np.array([0.7, 0.1, 0.2])
BLACK, WHITE = np.zeros(3), np.ones(3)


def plain(colour: np.ndarray, pattern: str = 'plain', second: np.ndarray | None = None) -> Material:
    """A material without grain or gloss; 2 cycles per metre along x."""
    colours = np.stack([colour, colour if second is None else second]).astype(np.float32)
    return Material(pattern, colours, 2.0, np.array([1, 0, 0], np.float32), 0.0, 0.0)


def sees(points: np.ndarray, ambient: np.ndarray = BLACK, horizon: np.ndarray = BLACK,
         sun: np.ndarray = WHITE) -> np.ndarray:
    """Colours (3, N) at points (3, N) of a red ball above a green ground, seen from EYE."""
    thing = (np.eye(3), np.zeros(3))
    ground = Primitive('plane', np.zeros(3), np.eye(3), np.ones(3), 1.0, 0, 0)
    things = (Thing(0, (ground,), *thing), Thing(0, (blob(CENTRE, [RADIUS] * 3, 1),), *thing))
    # Camera axes: x right, y up, z backwards.
    level = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    light = Light(SUN, sun, ambient, horizon, BLACK, 0.0)
    table = noise_table(np.random.Generator(np.random.PCG64(0)))
    scene = Scene(things, (plain(GREEN), plain(RED)), Camera(EYE, level, 1.0), light, table, 0)
    renderer = Renderer(scene, 128, 128)
    rays = unit(points - EYE[:, None]).astype(np.float32)
    hits = renderer.cast(rays)
    np.testing.assert_allclose(hits.point, points, atol=1e-3)
    return renderer.colours(hits)


def clear(points: np.ndarray) -> np.ndarray:
    """Share (N,) of the light from points (3, N) that the haze, 90 m deep, lets through."""
    return np.exp(-np.linalg.norm(points - EYE[:, None], axis=0) / 90)


# The ball's shadow: down the sun's rays from its centre, 1.2 * 0.6 / 0.8 = 0.9 m to the left.
SHADOW = np.array([-0.9, 5.0, 0.0])
PAIR = np.stack([SHADOW, SHADOW * [-1, 1, 1]], axis=1)


def test_a_ball_casts_its_shadow() -> None:
    dark, bright = sees(PAIR, ambient=np.full(3, 0.3)).T
    # The mirrored point differs in nothing but the sun, whose cosine on the ground is 0.8.
    np.testing.assert_allclose(bright - dark, 0.8 * GREEN * clear(PAIR)[0], rtol=1e-3)
    assert (dark < 0.5 * bright).all()


def test_the_shadow_is_as_wide_as_the_ball() -> None:
    # Along x the rays' cross-section is stretched by 1 / 0.8: half-width 0.5 / 0.8 = 0.625.
    offsets = np.array([-0.64, -0.61, 0.61, 0.64])
    points = SHADOW[:, None] + np.stack([offsets, 0 * offsets, 0 * offsets])
    assert (sees(points)[1] > 0.01).tolist() == [True, False, False, True]


def test_ambient_light_fills_the_shadow_in_proportion() -> None:
    np.testing.assert_array_equal(sees(PAIR)[:, 0], 0)
    ambient = np.array([0.2, 0.3, 0.4])
    once, twice = (sees(PAIR, ambient=factor * ambient)[:, 0] for factor in (1, 2))
    assert (once > 0.3 * ambient * GREEN).all() and (once <= ambient * GREEN).all()
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-4)


def test_ambient_light_is_less_under_things_than_in_the_open() -> None:
    points = np.array([[0.0, 5.0], [5.3, 9.0], [0.0, 0.0]])
    under, open_ground = (sees(points, ambient=WHITE, sun=BLACK) / clear(points)).T
    assert (under < 0.9 * open_ground).all()
    np.testing.assert_allclose(open_ground, GREEN, rtol=0.01)


def test_plain_surfaces_follow_lamberts_cosine() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    normal = unit(rng.normal(size=(3, 400)))
    points = CENTRE[:, None] + RADIUS * normal
    normal = normal[:, ((EYE[:, None] - points) * normal).sum(axis=0) > 0.1]
    points = CENTRE[:, None] + RADIUS * normal
    cosine = np.maximum(SUN @ normal, 0)
    sun = np.array([1.0, 0.8, 0.5])
    expected = (sun * RED)[:, None] * cosine * clear(points)
    assert (cosine == 0).sum() > 20 and (cosine > 0.5).sum() > 20
    np.testing.assert_allclose(sees(points, sun=sun), expected, atol=5e-3)


def test_haze_goes_over_to_the_horizon() -> None:
    horizon = np.array([0.5, 0.7, 0.9])
    far = np.array([[0.3], [50.0], [0.0]])
    thin = clear(far)
    np.testing.assert_allclose(sees(far, horizon=horizon)[:, 0],
                               0.8 * GREEN * thin + horizon * (1 - thin), rtol=1e-3)


def grid(count: int = 24) -> np.ndarray:
    """Points (3, count ** 3) over 1.6 m each way."""
    steps = np.linspace(-0.8, 0.8, count, dtype=np.float32)
    return np.stack([axis.ravel() for axis in np.meshgrid(steps, steps, steps)])


TABLE = noise_table(np.random.Generator(np.random.PCG64(3)))


@pytest.mark.parametrize('pattern', PATTERNS[1:])
def test_patterns_show_both_colours(pattern: str) -> None:
    points = grid()
    colours = reflectance((plain(GREEN, pattern, RED),), TABLE, np.zeros(points.shape[1], int),
                          points, np.zeros(points.shape[1], np.float32))
    for tone in (GREEN, RED):
        assert (np.abs(colours - tone[:, None]).max(axis=0) < 0.06).mean() > 0.02
    if pattern == 'tiles':  # each tile is a little lighter or darker
        return
    # Every colour lies between the two.
    share = (colours[0] - GREEN[0]) / (RED[0] - GREEN[0])
    between = GREEN[:, None] + share * (RED - GREEN)[:, None]
    np.testing.assert_allclose(colours, between, atol=1e-5)


def test_stripes_repeat_along_their_axis_alone() -> None:
    points = grid()
    weight = pattern_weight(plain(GREEN, 'stripes', RED), TABLE, points)
    for moved, same in (((0.5, 0.3, -0.2), weight), ((0.25, 0, 0), 1 - weight)):
        shifted = points + np.float32(moved)[:, None]
        np.testing.assert_allclose(
            pattern_weight(plain(GREEN, 'stripes', RED), TABLE, shifted), same, atol=1e-4)


def test_fine_texture_fades_with_distance() -> None:
    points = grid()
    index = np.zeros(points.shape[1], int)
    near, far = (reflectance((plain(GREEN, 'checks', RED),), TABLE, index, points,
                             np.full(points.shape[1], size, np.float32)) for size in (0, 3.0))
    assert far.std(axis=1).max() < 0.02 * near.std(axis=1).max()


def test_materials_are_coloured_and_patterned() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = [random_material(rng, 0.5) for _ in range(200)]
    assert {material.pattern for material in drawn} >= set(PATTERNS) - {'tiles'}
    tones = np.stack([material.colours for material in drawn])
    assert (np.ptp(tones, axis=2) > 0.1).mean() > 0.3
    assert tones[:, 0].mean(axis=1).std() > 0.1


def high_pass(picture: np.ndarray) -> np.ndarray:
    return np.diff(picture.astype(float), axis=1)


@pytest.mark.parametrize('seed', range(4))
def test_a_sensor_adds_noise_of_its_own(seed: int) -> None:
    flat = np.full((64, 64, 3), 0.4, np.float32)
    first, again, other = (develop(flat, np.random.Generator(np.random.PCG64(number)))
                           for number in (seed, seed, seed + 100))
    np.testing.assert_array_equal(first, again)
    # Vignette alone would leave differences of 0 or 1, mostly 0.
    assert 0.5 < high_pass(first).std() < 12
    assert abs(np.corrcoef(high_pass(first).ravel(), high_pass(other).ravel())[0, 1]) < 0.05


def covered(things: list[Thing], points: np.ndarray) -> np.ndarray:
    """Whether (N,) something stands at ground points (2, N), looking straight down."""
    origins = np.concatenate([points, np.full((1, points.shape[1]), 9.0)]).astype(np.float32)
    down = np.tile(np.array([[0], [0], [-1]], np.float32), points.shape[1])
    return World(things).first_hits(origins, down, 9.0)[1] >= 0


def test_set_ups_do_not_stand_in_one_another() -> None:
    shared = total = 0
    x, y = np.meshgrid(np.linspace(-6, 6, 120), np.linspace(0.5, 12.5, 120))
    points = np.stack([x.ravel(), y.ravel()])
    for seed in range(12):
        scene = compose_scene(np.random.Generator(np.random.PCG64(seed)), 1.0)
        setups: dict[tuple[float, ...], list[Thing]] = {}
        for thing in scene.things:
            if thing.primitives[0].shape != 'plane':
                setups.setdefault(tuple(thing.origin), []).append(thing)
        count = np.sum([covered(things, points) for things in setups.values()], axis=0)
        shared, total = shared + (count > 1).sum(), total + (count > 0).sum()
    assert total > 3000
    assert shared < 0.005 * total
