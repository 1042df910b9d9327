"""Builds articulated people: capsules on a skeleton in a random pose."""
from dataclasses import dataclass, replace

import numpy as np

from .geometry import Primitive
from .shapes import blob, limb, turn_x, turn_z

HEAD, TORSO, UPPER_ARM, LOWER_ARM, UPPER_LEG, LOWER_LEG = range(1, 7)


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians; pairs are (left, right).

    Args:
        lean: Trunk forwards.
        head: (yaw, nod) of the head.
        shoulders: Upper arms forwards from hanging.
        spread: Upper arms sideways from hanging.
        elbows: Forearms bent forwards.
        hips: Thighs forwards from hanging.
        straddle: Thighs sideways.
        knees: Shins bent backwards.
    """

    lean: float
    head: tuple[float, float]
    shoulders: tuple[float, float]
    spread: tuple[float, float]
    elbows: tuple[float, float]
    hips: tuple[float, float]
    straddle: float
    knees: tuple[float, float]


def random_pose(rng: np.random.Generator, seated: bool) -> Pose:
    """Draw a pose: standing, walking, waving, reaching or (``seated``) sitting."""
    kind = rng.choice(['stand', 'walk', 'wave', 'reach'], p=[0.3, 0.35, 0.2, 0.15])
    swing = rng.uniform(0.3, 0.65) * rng.choice([-1, 1])
    hips, knees = rng.uniform(-0.1, 0.15, 2), rng.uniform(0.0, 0.15, 2)
    shoulders, elbows = rng.uniform(-0.3, 0.3, 2), rng.uniform(0.1, 1.3, 2)
    spread = rng.uniform(0.08, 0.5, 2)
    if kind == 'walk':
        hips, knees = np.array([swing, -swing]), np.array([0.15, 0.15]) + 0.6 * rng.random(2)
        shoulders = np.array([-swing, swing]) * rng.uniform(0.6, 1.3)
    elif kind == 'wave':
        arm = rng.integers(2)
        spread[arm], elbows[arm] = rng.uniform(1.4, 2.4), rng.uniform(0.1, 0.9)
    elif kind == 'reach':
        shoulders = rng.uniform(0.9, 1.9, 2)
    if seated:
        hips, knees = rng.uniform(1.4, 1.6, 2), rng.uniform(1.3, 1.75, 2)
    return Pose(float(rng.uniform(-0.05, 0.2)), (rng.uniform(-0.8, 0.8), rng.uniform(-0.2, 0.3)),
                tuple(shoulders), tuple(spread), tuple(elbows), tuple(hips),
                float(rng.uniform(0.03, 0.18)), tuple(knees))


def _chain(start: np.ndarray, lengths: tuple[float, float], swing: float, spread: float,
           bend: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the two bones of a limb, by its forward swing, spread and bend."""
    out = np.array([[np.cos(spread), 0, -side * np.sin(spread)], [0, 1, 0],
                    [side * np.sin(spread), 0, np.cos(spread)]])
    down = np.array([0.0, 0.0, -1.0])
    middle = start + lengths[0] * (out @ turn_x(swing) @ down)
    return middle, middle + lengths[1] * (out @ turn_x(swing + bend) @ down)


def _legs(pose: Pose, h: float, stout: float, cloth: int, shoe: int) -> list[Primitive]:
    solids = []
    for side, hip, knee in zip((-1, 1), pose.hips, pose.knees, strict=True):
        top = np.array([side * 0.055 * h * stout, 0.0, 0.0])
        middle, end = _chain(top, (0.245 * h, 0.225 * h), hip, pose.straddle, -knee, side)
        tilt = turn_x(0.4 * (hip - knee) if hip < 1 else 0.0)
        toe = tilt @ np.array([0.0, 0.085 * h, -0.012 * h])
        solids += [limb(top, middle, 0.051 * h * stout, cloth, UPPER_LEG),
                   limb(middle, end, 0.036 * h * stout, cloth, LOWER_LEG),
                   limb(end, end + toe, 0.027 * h, shoe, LOWER_LEG)]
    return solids


def _trunk(h: float, stout: float, shirt: int, cloth: int) -> list[Primitive]:
    shoulder = 0.094 * h * stout
    return [limb((0, 0, 0.01 * h), (0, 0, 0.05 * h), 0.085 * h * stout, cloth, TORSO, 0.75),
            limb((0, 0, 0.1 * h), (0, 0.005 * h, 0.2 * h), 0.094 * h * stout, shirt, TORSO, 0.68),
            limb((-shoulder, 0, 0.262 * h), (shoulder, 0, 0.262 * h), 0.04 * h, shirt, TORSO)]


def _head(pose: Pose, h: float, skin: int, hair: int) -> list[Primitive]:
    turn = turn_z(pose.head[0]) @ turn_x(-pose.head[1])
    centre = np.array([0.0, 0.015 * h, 0.385 * h])
    up, front = turn @ np.array([0, 0, 1.0]), turn @ np.array([0, 1.0, 0])
    return [limb((0, 0, 0.28 * h), (0, 0.01 * h, 0.34 * h), 0.03 * h, skin, TORSO),
            blob(centre, (0.048 * h, 0.058 * h, 0.068 * h), skin, HEAD, turn),
            blob(centre + 0.058 * h * front - 0.008 * h * up,
                 (0.009 * h, 0.012 * h, 0.013 * h), skin, HEAD, turn),
            blob(centre + 0.018 * h * up - 0.014 * h * front,
                 (0.052 * h, 0.056 * h, 0.058 * h), hair, HEAD, turn)]


def _arms(pose: Pose, h: float, stout: float, sleeve: int, skin: int) -> list[Primitive]:
    solids = []
    for side, swing, spread, elbow in zip((-1, 1), pose.shoulders, pose.spread, pose.elbows,
                                          strict=True):
        top = np.array([side * 0.118 * h * stout, 0.0, 0.262 * h])
        middle, end = _chain(top, (0.165 * h, 0.145 * h), swing, spread, elbow, side)
        hand = end + (end - middle) * 0.3
        solids += [limb(top, middle, 0.031 * h * stout, sleeve, UPPER_ARM),
                   limb(middle, end, 0.025 * h * stout, skin, LOWER_ARM),
                   limb(end, hand, 0.024 * h, skin, LOWER_ARM, 0.7)]
    return solids


def lowest(capsule: Primitive) -> float:
    """Return the smallest z of a capsule in metres."""
    reach = 1 + abs(float(capsule.rotation[2, 2])) * capsule.parameter
    return float(capsule.centre[2] - reach * capsule.scale[2])


def person(rng: np.random.Generator, materials: tuple[int, ...], seat: float | None = None
           ) -> list[Primitive]:
    """Build a person facing +y.

    Args:
        rng: Source of size and pose.
        materials: At least 4 material indices: shirt, trousers, skin, hair.
        seat: Height of the seat in metres for someone sitting, else on their feet at z = 0.

    Returns:
        Primitives whose ``part`` is 1 head, 2 torso, 3 upper arm, 4 lower arm, 5 upper leg or
        6 lower leg.
    """
    h, stout = float(rng.uniform(1.5, 1.92)), float(rng.uniform(0.9, 1.25))
    pose = random_pose(rng, seat is not None)
    shirt, cloth, skin, hair = materials[:4]
    bare_legs, bare_arms = rng.random(2) < (0.2, 0.6)
    upper = _trunk(h, stout, shirt, cloth) + _head(pose, h, skin, hair)
    upper += _arms(pose, h, stout, shirt, skin if bare_arms else shirt)
    lean = turn_x(-pose.lean)
    solids = [solid.moved(lean, np.zeros(3)) for solid in upper]
    legs = _legs(pose, h, stout, cloth, hair)
    if bare_legs:
        legs = [replace(leg, material=skin) if leg.material == cloth and leg.part == LOWER_LEG
                else leg for leg in legs]
    solids += legs
    # The trunk starts at the hips: lift it onto the seat, or the lower foot onto the ground.
    lift = -min(lowest(leg) for leg in legs) if seat is None else seat + 0.05 * h
    return [solid.moved(np.eye(3), np.array([0.0, 0.0, lift])) for solid in solids]
