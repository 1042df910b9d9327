"""Builds objects other than people of primitives: x right, y forward (their front), z up.

Every builder takes the generator and material indices and returns primitives that stand on z = 0.
"""
from collections.abc import Callable

import numpy as np

from .geometry import Primitive
from .shapes import blob, box, limb, tube, turn_x

Materials = tuple[int, ...]
SEAT = 0.46  # metres, height of a chair's seat


def chair(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A chair: seat, four legs, and a solid or slatted back."""
    w, d, top = rng.uniform(0.42, 0.52), rng.uniform(0.42, 0.5), rng.uniform(0.85, 1.05)
    x, y = w / 2 - 0.035, d / 2 - 0.035
    solids = [box((0, 0, SEAT - 0.03), (w, d, 0.06), m[0])]
    round_legs, straight = rng.random() < 0.5, (0.05, 0.05, SEAT - 0.04)
    for i in (-1, 1):
        for j in (-1, 1):
            foot, head = (i * x * 1.08, j * y * 1.08, 0), (i * x, j * y, SEAT - 0.05)
            solids.append(tube(foot, head, 0.024, m[1]) if round_legs
                          else box((i * x, j * y, SEAT / 2 - 0.02), straight, m[1]))
    back = [box((0, -y, (SEAT + top) / 2 + 0.06), (w, 0.045, top - SEAT - 0.14), m[0])]
    if rng.random() < 0.5:
        back = [box((0, -y, z), (w, 0.035, 0.085), m[0])
                for z in np.linspace(SEAT + 0.2, top - 0.05, 3)]
    posts = [box((i * x, -y, (SEAT + top) / 2), (0.05, 0.05, top - SEAT), m[1]) for i in (-1, 1)]
    tilt = turn_x(rng.uniform(0.0, 0.18))
    hinge = np.array([0.0, -y, SEAT])
    return solids + [solid.moved(tilt, hinge - tilt @ hinge) for solid in back + posts]


def dining_table(rng: np.random.Generator, m: Materials, height: float = 0.75) -> list[Primitive]:
    """A table: rectangular on four legs, or round on a pedestal."""
    w, d = rng.uniform(1.0, 1.7), rng.uniform(0.75, 1.0)
    if rng.random() < 0.35:
        r = w * 0.42
        return [tube((0, 0, height - 0.05), (0, 0, height), r, m[0]),
                tube((0, 0, 0.04), (0, 0, height - 0.05), 0.07, m[1]),
                tube((0, 0, 0), (0, 0, 0.06), 0.6 * r, m[1], 0.6)]
    x, y, leg = w / 2 - 0.08, d / 2 - 0.08, rng.uniform(0.06, 0.1)
    solids = [box((0, 0, height - 0.025), (w, d, 0.05), m[0]),
              box((0, 0, height - 0.09), (w - 0.14, d - 0.14, 0.08), m[1])]
    return solids + [box((i * x, j * y, height / 2 - 0.02), (leg, leg, height - 0.05), m[1])
                     for i in (-1, 1) for j in (-1, 1)]


def sofa(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A sofa: base, back, round arms, cushions."""
    w, d = rng.uniform(1.5, 2.1), rng.uniform(0.8, 0.95)
    solids = [box((0, 0, 0.23), (w, d, 0.3), m[0]),
              box((0, -d / 2 + 0.11, 0.58), (w, 0.2, 0.5), m[0], rotation=turn_x(0.12))]
    for i in (-1, 1):
        solids.append(limb((i * w / 2, -d / 2 + 0.12, 0.5), (i * w / 2, d / 2 - 0.1, 0.5),
                           0.11, m[0]))
        solids.append(box((i * w / 2, 0, 0.26), (0.2, d, 0.44), m[0]))
        solids.append(box((i * w * 0.235, 0.06, 0.42), (w * 0.44, d - 0.2, 0.13), m[1], 0.96))
    if rng.random() < 0.7:
        solids.append(blob((rng.uniform(-0.35, 0.35) * w, -0.12, 0.62), (0.22, 0.08, 0.2), m[2],
                           rotation=turn_x(0.35)))
    return solids


def tv_monitor(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A flat screen in its frame, on a foot."""
    w = rng.uniform(0.55, 1.0)
    h = w * rng.uniform(0.56, 0.68)
    z = 0.1 + h / 2
    return [box((0, 0, z), (w, 0.05, h), m[0]),
            box((0, 0.022, z), (w - 0.06, 0.02, h - 0.06), m[1]),
            blob((0, -0.03, z), (w * 0.35, 0.06, h * 0.35), m[0]),
            tube((0, -0.02, 0.01), (0, -0.02, z - h / 3), 0.03, m[0]),
            tube((0, -0.01, 0), (0, -0.01, 0.02), 0.17 * w + 0.05, m[0], 0.9)]


def potted_plant(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A pot with a bush, a cactus-like column, a conifer, or long leaves."""
    size = rng.uniform(0.55, 1.15)
    pot, r = 0.3 * size, 0.17 * size
    solids = [tube((0, 0, pot), (0, 0, 0), r, m[0], 0.68),
              tube((0, 0, pot - 0.02), (0, 0, pot + 0.03 * size), 1.12 * r, m[0])]
    kind = rng.choice(['bush', 'conifer', 'leaves'])
    if kind == 'bush':
        solids.append(tube((0, 0, pot), (0, 0, 0.65 * size), 0.03 * size, m[2]))
        for angle in rng.uniform(0, 0.6) + np.arange(6) * 2 * np.pi / 6:
            solids.append(blob((0.14 * size * np.cos(angle), 0.14 * size * np.sin(angle),
                                size * rng.uniform(0.58, 0.78)),
                               size * rng.uniform(0.1, 0.17, 3), m[1]))
        solids.append(blob((0, 0, 0.86 * size), size * rng.uniform(0.13, 0.2, 3), m[1]))
    elif kind == 'conifer':
        solids.append(tube((0, 0, pot), (0, 0, 0.6 * size), 0.03 * size, m[2]))
        solids += [tube((0, 0, z * size), (0, 0, (z + 0.34) * size), s * size, m[1], 0.0)
                   for z, s in ((0.4, 0.3), (0.6, 0.24), (0.8, 0.17))]
    else:
        for number, angle in enumerate(rng.uniform(0, 1) + np.arange(9) * 2 * np.pi / 9):
            reach = size * (0.12 if number % 2 else 0.3)
            tip = (reach * np.cos(angle), reach * np.sin(angle),
                   size * rng.uniform(0.75, 1.0) - 0.25 * reach)
            solids.append(limb((0, 0, pot), tip, 0.055 * size, m[1], 0, 0.35,
                               (-np.sin(angle), np.cos(angle), 0)))
    return solids


def bottle(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A bottle: body, shoulder, neck, cap, sometimes a label band."""
    h, r = rng.uniform(0.26, 0.42), rng.uniform(0.038, 0.058)
    body, neck = h * rng.uniform(0.5, 0.65), h * rng.uniform(0.74, 0.82)
    solids = [tube((0, 0, 0), (0, 0, body), r, m[0]),
              tube((0, 0, body), (0, 0, neck), r, m[0], 0.38),
              tube((0, 0, neck), (0, 0, h), 0.38 * r, m[0]),
              tube((0, 0, 0.93 * h), (0, 0, h + 0.01), 0.48 * r, m[1])]
    if rng.random() < 0.7:
        solids.append(tube((0, 0, 0.3 * body), (0, 0, 0.8 * body), 1.03 * r, m[2]))
    return solids


def car(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A car facing +y: body, cabin, roof, wheels with hubs, lamps, bumpers."""
    length, w, high = rng.uniform(3.7, 4.6), rng.uniform(1.65, 1.85), rng.uniform(1.35, 1.65)
    belt, wheel = 0.56 * high, rng.uniform(0.3, 0.36)
    cabin, shift = length * rng.uniform(0.5, 0.68), -length * rng.uniform(0.02, 0.12)
    taper, depth = rng.uniform(0.7, 0.82), high - belt
    solids = [box((0, 0, (0.2 + belt) / 2 + 0.04), (w, length, belt - 0.16), m[0], 0.95),
              box((0, shift, belt + depth / 2), (w * 0.9, cabin, depth), m[1], taper),
              box((0, shift, high), (w * 0.9 * taper, cabin * taper, 0.07), m[0], 0.9),
              box((0, shift, belt + depth / 2), (w * 0.91, 0.12, depth), m[0], taper)]
    for end in (-1, 1):
        solids.append(limb((-w * 0.44, end * length * 0.49, 0.36), (w * 0.44, end * length * 0.49,
                                                                   0.36), 0.11, m[2]))
        for side in (-1, 1):
            y, x = end * length * 0.31, side * w / 2
            solids += [tube((x - 0.16 * side, y, wheel), (x + 0.03 * side, y, wheel), wheel, m[2]),
                       tube((x, y, wheel), (x + 0.05 * side, y, wheel), 0.55 * wheel, m[3]),
                       blob((x * 0.72, end * length * 0.485, belt - 0.12), (0.16, 0.06, 0.09),
                            m[3])]
    return solids


def dog(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """A dog facing +y, of capsules like a person's, but no body parts."""
    s = rng.uniform(0.75, 1.15)
    swing = rng.uniform(-0.5, 0.5, 4)
    back = 0.46
    parts = [limb((0, -0.28, back), (0, 0.25, back + 0.02), 0.135, m[0], 0, 0.95),
             limb((0, 0.28, back + 0.06), (0, 0.38, back + 0.17), 0.09, m[0]),
             blob((0, 0.44, back + 0.23), (0.11, 0.135, 0.11), m[0]),
             limb((0, 0.5, back + 0.2), (0, 0.63, back + 0.17), 0.058, m[1]),
             blob((0, 0.69, back + 0.19), (0.024, 0.02, 0.02), m[2]),
             limb((0, -0.38, back + 0.05), (rng.uniform(-0.12, 0.12), -0.56, back + 0.25), 0.03,
                  m[0])]
    for index, (i, y) in enumerate(((-1, -0.28), (1, -0.28), (-1, 0.25), (1, 0.25))):
        knee = np.array([i * 0.09, y + 0.22 * np.sin(swing[index]), back - 0.23])
        foot = np.array([i * 0.09, knee[1] + 0.12 * np.sin(swing[index] - 0.25), 0.042])
        parts += [limb((i * 0.08, y, back - 0.03), knee, 0.06, m[0]),
                  limb(knee, foot, 0.042, m[1])]
        if index < 2:
            parts.append(tube((i * 0.065, 0.42, back + 0.29), (i * 0.085, 0.4, back + 0.43), 0.05,
                              m[1], 0.15))
    return [Primitive(p.shape, s * p.centre, p.rotation, s * p.scale, p.parameter, 0, p.material)
            for p in parts]


def clutter(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """Background: a crate, a ball, a traffic cone, or a drum."""
    s = rng.uniform(0.25, 0.6)
    kind = rng.choice(['crate', 'ball', 'cone', 'drum'])
    if kind == 'crate':
        return [box((0, 0, s / 2), s * rng.uniform(0.7, 1.3, 3) * (1, 1, 0) + (0, 0, s), m[0])]
    if kind == 'ball':
        return [blob((0, 0, s / 2), (s / 2, s / 2, s / 2), m[0])]
    if kind == 'cone':
        return [box((0, 0, 0.02), (0.8 * s, 0.8 * s, 0.04), m[1]),
                tube((0, 0, 0.04), (0, 0, 1.4 * s), 0.32 * s, m[0], 0.12)]
    return [tube((0, 0, 0), (0, 0, 1.3 * s), 0.42 * s, m[0])]


def cabinet(rng: np.random.Generator, m: Materials) -> list[Primitive]:
    """Background: a low cabinet 0.6 m high, for a screen to stand on."""
    w = rng.uniform(1.0, 1.5)
    return [box((0, 0, 0.3), (w, 0.45, 0.6), m[0]),
            box((-w / 4, 0.225, 0.32), (w / 2 - 0.05, 0.03, 0.46), m[1]),
            box((w / 4, 0.225, 0.32), (w / 2 - 0.05, 0.03, 0.46), m[1])]


Builder = Callable[[np.random.Generator, Materials], list[Primitive]]
# Name -> PASCAL VOC class id and builder; people are in people.py.
BUILDERS: dict[str, tuple[int, Builder]] = {
    'bottle': (5, bottle), 'car': (7, car), 'chair': (9, chair),
    'diningtable': (11, dining_table), 'dog': (12, dog), 'pottedplant': (16, potted_plant),
    'sofa': (18, sofa), 'tvmonitor': (20, tv_monitor), 'clutter': (0, clutter),
    'cabinet': (0, cabinet),
}
