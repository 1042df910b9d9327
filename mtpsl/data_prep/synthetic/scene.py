"""Composes random scenes: objects, camera and light.

World axes: the camera is above the origin and looks along +y; x right, z up, ground z = 0.
"""
from dataclasses import dataclass, replace

import numpy as np

from .furniture import BUILDERS, SEAT
from .geometry import Primitive, Thing
from .people import person
from .shapes import turn_z
from .texture import Material, noise_table, random_colour, random_material

# An instance before placement: class id, primitives in the frame of its set-up.
Draft = tuple[int, list[Primitive]]
TABLE_HEIGHT = 0.75
CABINET_HEIGHT = 0.6
# theme -> (subjects of the picture, further objects, probability of walls).
THEMES = {
    'room': (('person', 'person', 'sitter', 'sitter', 'chair', 'sofa', 'dining', 'screen', 'dog',
              'plant'),
             ('person', 'person', 'sitter', 'sitter', 'chair', 'sofa', 'dining', 'screen', 'dog',
              'plant', 'clutter'), 0.85),
    'street': (('car', 'car', 'person', 'person', 'person', 'dog'),
               ('car', 'car', 'person', 'person', 'person', 'dog', 'plant', 'clutter', 'chair'),
               0.3),
    'table': (('laid',), ('person', 'person', 'sitter', 'chair', 'plant', 'sofa'), 0.7),
}


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Args:
        position: (3,) float64, world, metres.
        rotation: (3, 3) camera axes in its columns: x right, y up, z backwards (at the viewer).
        focal: Focal length in units of the image's shorter side.
    """

    position: np.ndarray
    rotation: np.ndarray
    focal: float


@dataclass(frozen=True)
class Light:
    """Lighting of a scene; colours are (3,) linear RGB.

    Args:
        direction: (3,) unit vector towards the sun.
        sun: Colour of the directional light.
        ambient: Colour of the light from everywhere.
        horizon: Colour of the sky at the horizon, and of the haze.
        zenith: Colour of the sky overhead.
        clouds: Amount of clouds, 0 to 1.
    """

    direction: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    horizon: np.ndarray
    zenith: np.ndarray
    clouds: float


@dataclass(frozen=True)
class Scene:
    """Input of the renderer; ``things`` are the ground, then ``walls`` walls, then objects."""

    things: tuple[Thing, ...]
    materials: tuple[Material, ...]
    camera: Camera
    light: Light
    noise: np.ndarray
    walls: int


class Composer:
    """Builds a scene from one generator; materials do not depend on the class."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.materials: list[Material] = []

    def paint(self, size: float, flat: bool = False) -> int:
        """Draw a material for a thing of ``size`` metres; return its index."""
        self.materials.append(random_material(self.rng, size, flat))
        return len(self.materials) - 1

    def build(self, name: str, offset: tuple[float, float, float] = (0, 0, 0),
              yaw: float = 0.0) -> Draft:
        """Build an object by its name in ``BUILDERS``, moved within its set-up."""
        category, builder = BUILDERS[name]
        paints = tuple(self.paint(0.6) for _ in range(4))
        return category, _moved(builder(self.rng, paints), yaw, offset)

    def human(self, seat: float | None = None, offset: tuple[float, float, float] = (0, 0, 0),
              yaw: float = 0.0) -> Draft:
        """Build a person, seated at height ``seat`` if given."""
        paints = tuple(self.paint(0.5) for _ in range(4))
        return 15, _moved(person(self.rng, paints, seat), yaw, offset)

    def setup(self, name: str) -> list[Draft]:
        """Build objects that belong together in one frame: a laid table, someone on a chair."""
        if name == 'person':
            return [self.human()]
        if name == 'sitter':
            return [self.build('chair'), self.human(SEAT, (0, -0.06, 0))]
        if name == 'screen':
            return [self.build('cabinet'), self.build('tvmonitor', (0, 0, CABINET_HEIGHT))]
        if name in ('dining', 'laid'):
            return self._table(chairs=name == 'dining', items=4 if name == 'laid' else 2)
        return [self.build({'plant': 'pottedplant'}.get(name, name))]

    def _table(self, chairs: bool, items: int) -> list[Draft]:
        rng = self.rng
        drafts = [self.build('diningtable')]
        spots = [(x, y) for x in (-0.38, -0.13, 0.13, 0.38) for y in (-0.22, 0.12)]
        for index in rng.permutation(len(spots))[:int(rng.integers(items // 2, items + 1))]:
            x, y = np.array(spots[index]) + rng.uniform(-0.05, 0.05, 2)
            drafts.append(self.build('bottle', (x, y, TABLE_HEIGHT), rng.uniform(0, 6.3)))
        if rng.random() < 0.4:
            category, solids = self.build('pottedplant')
            small = [replace(s, centre=0.45 * s.centre, scale=0.45 * s.scale) for s in solids]
            drafts.append((category, _moved(small, 0, (rng.uniform(-0.4, 0.4), 0.3, TABLE_HEIGHT))))
        elif items > 2 and rng.random() < 0.45:
            drafts.append(self.build('tvmonitor', (rng.uniform(-0.2, 0.2), 0.3, TABLE_HEIGHT),
                                     np.pi + rng.uniform(-0.4, 0.4)))
        if chairs:
            for side in (-1, 1):
                if rng.random() < 0.75:
                    place = (rng.uniform(-0.3, 0.3), side * rng.uniform(0.6, 0.8), 0)
                    yaw = (np.pi if side > 0 else 0) + rng.uniform(-0.3, 0.3)
                    drafts.append(self.build('chair', place, yaw))
                    if rng.random() < 0.4:
                        drafts.append(self.human(SEAT, place, yaw))
        return drafts


def _moved(solids: list[Primitive], yaw: float, offset: tuple[float, float, float] | np.ndarray
           ) -> list[Primitive]:
    return [solid.moved(turn_z(yaw), np.asarray(offset, dtype=float)) for solid in solids]


def _extent(drafts: list[Draft]) -> tuple[float, float]:
    """Return the radius around the vertical axis and the height of a set-up in metres."""
    solids = [solid for _, draft in drafts for solid in draft]
    centre = np.stack([solid.centre for solid in solids])
    size = np.stack([solid.scale for solid in solids])
    size[:, 2] *= [1 + s.parameter if s.shape == 'capsule' else 1.0 for s in solids]
    rotation = np.abs(np.stack([solid.rotation for solid in solids]))
    far = np.abs(centre) + (rotation * size[:, None]).sum(axis=2)
    return float(np.hypot(far[:, 0], far[:, 1]).max()), float(far[:, 2].max())


def _placed(drafts: list[Draft], yaw: float, at: np.ndarray) -> list[Thing]:
    offset = np.array([at[0], at[1], 0.0])
    return [Thing(category, tuple(_moved(solids, yaw, offset)), turn_z(yaw), offset)
            for category, solids in drafts]


def _facing(rng: np.random.Generator, name: str) -> float:
    """Draw the yaw of a set-up; objects with a front mostly face the camera."""
    if name == 'laid':
        return float(rng.uniform(-0.5, 0.5))
    if name in ('car', 'dog', 'dining'):
        return float(rng.uniform(0, 2 * np.pi))
    return float(np.pi + rng.normal(0, 0.5 if name == 'screen' else 0.75))


def _walls(composer: Composer, distance: float, amount: float) -> list[Thing]:
    """Draw no wall, one behind the subject, or a corner, all with the camera in front."""
    rng = composer.rng
    if rng.random() > amount:
        return []
    angle, paint = rng.uniform(-0.6, 0.6), composer.paint(2.0, flat=True)
    back = np.array([np.sin(angle), -np.cos(angle), 0.0])
    facings = [(back, np.array([0.0, distance * rng.uniform(1.3, 2.2) + 0.6, 0.0]))]
    if rng.random() < 0.5:
        side = float(rng.choice([-1, 1]))
        across = side * np.array([-np.cos(angle), -np.sin(angle), 0.0])
        facings.append((across, -across * distance * rng.uniform(0.55, 0.9) + facings[0][1] * 0.5))
    walls = []
    for normal, point in facings:
        subject = (np.array([0, distance, 0]) - point) @ normal
        if subject > 0.35 * distance and -point @ normal > 0.3:
            # Local y is vertical, so that rows of tiles are level.
            axes = np.stack([np.cross([0, 0, 1], normal), [0, 0, 1], normal], axis=1)
            plane = Primitive('plane', point, axes, np.ones(3), 1.0, 0, paint)
            walls.append(Thing(0, (plane,), axes, point))
    return walls


def _populate(composer: Composer, subject: str, others: tuple[str, ...], distance: float,
              first: list[Draft], walls: list[Thing], half_width: float) -> list[Thing]:
    """Place the subject at ``distance``, then further set-ups without overlap."""
    rng = composer.rng
    radius = _extent(first)[0]
    things = _placed(first, _facing(rng, subject), np.array([0.0, distance]))
    taken = [(np.array([0.0, distance]), radius)]
    reach = max(2.2 * distance, distance + 3.0)
    for _ in range(int(rng.integers(2, 6))):
        name = str(rng.choice(others))
        drafts = composer.setup(name)
        size = _extent(drafts)[0]
        for _ in range(25):
            y = rng.uniform(0.8 * distance, reach)
            at = np.array([rng.uniform(-0.95, 0.95) * half_width * y, y])
            inside = all((np.append(at, 0) - wall.origin) @ wall.rotation[:, 2] > size
                         for wall in walls)
            apart = all(np.hypot(*(at - other)) > 0.85 * (size + span) for other, span in taken)
            # Nothing large may stand close to the lens or in front of the subject.
            clear = y - size > 0.45 * distance and (
                y > distance or abs(at[0]) > 0.6 * (size + radius))
            if inside and apart and clear:
                taken.append((at, size))
                things += _placed(drafts, _facing(rng, name), at)
                break
    return things


def _look(rng: np.random.Generator, eye: np.ndarray, target: np.ndarray, focal: float) -> Camera:
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(back, right), back], axis=1)
    return Camera(eye, level @ turn_z(rng.normal(0, 0.025)), focal)


def _light(rng: np.random.Generator, walls: list[Thing]) -> Light:
    for _ in range(20):
        azimuth, height = rng.uniform(-1.9, 1.9), rng.uniform(0.45, 1.15)
        # Azimuth 0 is behind the camera.
        towards = np.array([np.sin(azimuth) * np.cos(height), -np.cos(azimuth) * np.cos(height),
                            np.sin(height)])
        if all(towards @ wall.rotation[:, 2] > 0.2 for wall in walls):
            break
    warmth, strength = rng.uniform(-0.16, 0.2), rng.uniform(0.9, 1.4)
    sun = strength * np.array([1 + warmth, 1.0, 1 - warmth])
    ambient = rng.uniform(0.24, 0.42) * np.array([1 - warmth / 2, 1.0, 1 + warmth / 2])
    horizon = 0.55 + 0.35 * rng.random() + 0.1 * random_colour(rng)
    zenith = np.array([0.18, 0.36, 0.75]) * rng.uniform(0.6, 1.1) + 0.25 * random_colour(rng)
    return Light(towards, sun, ambient, horizon, zenith, float(rng.uniform(0, 0.9)))


def compose_scene(rng: np.random.Generator, aspect: float) -> Scene:
    """Draw a scene.

    Args:
        rng: Random generator.
        aspect: Width over height of the picture, positive.
    """
    composer = Composer(rng)
    theme = str(rng.choice(list(THEMES), p=[0.45, 0.37, 0.18]))
    subjects, others, walled = THEMES[theme]
    subject = str(rng.choice(subjects))
    focal, fill = rng.uniform(0.75, 1.35), rng.uniform(0.6, 0.95)
    first = composer.setup(subject)
    radius, height = _extent(first)
    if theme == 'table':
        distance, middle = focal * radius / fill + 0.35, TABLE_HEIGHT + 0.12
        eye = np.array([0.0, 0.0, TABLE_HEIGHT + rng.uniform(0.2, 0.8)])
    else:
        # The subject fills a given share of the picture, seen level or from slightly above.
        away, middle = focal * max(height, 1.4 * radius) / fill + 0.5 * radius, 0.5 * height
        rise = np.clip(away * np.sin(rng.uniform(-0.05, 0.6)), 0.45 - middle, 2.8 - middle)
        distance = float(np.sqrt(max(away * away - rise * rise, 0.25 * away * away)))
        eye = np.array([0.0, 0.0, middle + rise])
    ground = Thing(0, (Primitive('plane', np.zeros(3), np.eye(3), np.ones(3), 1.0, 0,
                                 composer.paint(1.5, flat=True)),),
                   turn_z(rng.uniform(0, np.pi)), np.zeros(3))
    walls = _walls(composer, distance + 0.5 * radius, walled)
    half_width = 0.5 * max(aspect, 1.0) / focal
    things = _populate(composer, subject, others, distance, first, walls, half_width)
    target = np.array([rng.normal(0, 0.09) * distance / focal, distance,
                       middle * rng.uniform(0.8, 1.15)])
    return Scene((ground, *walls, *things), tuple(composer.materials),
                 _look(rng, eye, target, focal), _light(rng, walls), noise_table(rng), len(walls))
