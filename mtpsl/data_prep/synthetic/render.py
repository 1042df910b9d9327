"""Renders random scenes by ray casting: a picture and exact labels for six tasks.

Camera axes: x right, y up, z backwards, out of the picture towards the viewer. Depth is measured
along the optical axis, -z. Flipping a picture horizontally negates the x of its normals and changes
no other label value. The pixel at row i, column j looks along
((j + 0.5 - W / 2) / focal, -(i + 0.5 - H / 2) / focal, -1).
"""
from dataclasses import dataclass, fields

import numpy as np

from .casting import World
from .geometry import apply, dot, unit
from .scene import Scene, compose_scene
from .texture import noise, reflectance

FAR = 60.0  # metres, beyond which the ground counts as sky
SALIENT_AREA = 0.01  # least share of the picture of a salient object
EDGE_OFFSETS = ((-0.31, 0.22), (0.31, -0.22))  # rows and columns of extra rays per pixel


@dataclass(frozen=True)
class RenderedScene:
    """A picture and its labels, each exact at the pixel's centre.

    H, W: height and width. Camera axes: x right, y up, z towards the viewer.

    Args:
        image: (H, W, 3) uint8 RGB.
        semseg: (H, W) uint8 PASCAL VOC class, 0..20; ground, walls, sky and clutter are 0.
        instance: (H, W) int32; 0 sky (no surface), 1 ground, then ``walls`` walls, then objects.
        parsing: (H, W) uint8; 0 background, 1 head, 2 torso, 3 upper arm, 4 lower arm, 5 upper
            leg, 6 lower leg.
        saliency: (H, W) uint8, 1 on salient objects, see :func:`salient_instances`.
        normal: (H, W, 3) float32 unit normals in camera axes, facing the camera; 0 in the sky.
        depth: (H, W) float32 metres along the optical axis; 0 in the sky.
        focal: Focal length in pixels; the principal point is the picture's centre.
        walls: Number of walls of the scene, visible or not.
    """

    image: np.ndarray
    semseg: np.ndarray
    instance: np.ndarray
    parsing: np.ndarray
    saliency: np.ndarray
    normal: np.ndarray
    depth: np.ndarray
    focal: float
    walls: int


@dataclass(frozen=True)
class Hits:
    """The hits of N rays.

    Args:
        direction: (3, N) float32 unit directions of the rays, world.
        distance: (N,) float32 metres, inf without a hit.
        primitive: (N,) int, -1 without a hit.
        point: (3, N) float32, world.
        normal: (3, N) float32 unit normals, world, facing the eye.
    """

    direction: np.ndarray
    distance: np.ndarray
    primitive: np.ndarray
    point: np.ndarray
    normal: np.ndarray

    def joined(self, other: 'Hits') -> 'Hits':
        """Append the hits of other rays."""
        return Hits(*(np.concatenate([getattr(self, field.name), getattr(other, field.name)], -1)
                      for field in fields(self)))


class Renderer:
    """Casts rays into one scene.

    Args:
        scene: The scene.
        height: Rows of the picture.
        width: Columns of the picture.
    """

    def __init__(self, scene: Scene, height: int, width: int) -> None:
        self.scene, self.size = scene, (height, width)
        self.focal = scene.camera.focal * min(height, width)
        self.axes = scene.camera.rotation.astype(np.float32)
        self.eye = scene.camera.position.astype(np.float32)[:, None]
        self.world = World(scene.things)
        kinds = self.world.primitives
        self.material = np.array([p.material for p in kinds])
        self.part = np.array([p.part for p in kinds], dtype=np.uint8)
        self.plane = np.array([p.shape == 'plane' for p in kinds])

    def rays(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return unit world directions (3, N) float32 through pixel coordinates (N,)."""
        x = (columns + 0.5 - self.size[1] / 2) / self.focal
        y = -(rows + 0.5 - self.size[0] / 2) / self.focal
        return unit(apply(self.axes, np.stack([x, y, -np.ones_like(x)]).astype(np.float32)))

    def cast(self, directions: np.ndarray) -> Hits:
        """Find the first hits of unit rays (3, N) from the eye."""
        distance, primitive = self.world.first_hits(self.eye, directions, FAR)
        point = self.eye + np.where(primitive >= 0, distance, 0) * directions
        normal = self.world.normals(primitive, point)
        # Rounding at a silhouette may turn a normal away, but labels must face the camera.
        normal *= np.where(dot(normal, directions) > 0, np.float32(-1), np.float32(1))
        return Hits(directions, distance, primitive, point, normal)

    def colours(self, hits: Hits) -> np.ndarray:
        """Compute linear RGB (3, N) of rays."""
        light = self.scene.light
        picture = np.empty_like(hits.point)
        at, sky = np.flatnonzero(hits.primitive >= 0), np.flatnonzero(hits.primitive < 0)
        picture[:, sky] = self._sky(hits.direction[:, sky])
        point, normal, distance = hits.point[:, at], hits.normal[:, at], hits.distance[at]
        way, primitive = hits.direction[:, at], hits.primitive[at]
        sun = light.direction.astype(np.float32)[:, None]
        facing = np.maximum(dot(normal, sun), 0)
        lit = np.flatnonzero(facing > 0)
        hidden = self.world.occluded(point[:, lit] + np.float32(2e-3) * normal[:, lit], sun)
        facing[lit[hidden]] = 0
        footprint = distance / np.float32(self.focal) / np.maximum(-dot(normal, way), 0.05)
        material = self.material[primitive]
        albedo = reflectance(self.scene.materials, self.scene.noise, material,
                             self._local(primitive, point), footprint)
        gloss = np.array([m.gloss for m in self.scene.materials], dtype=np.float32)[material]
        shine = gloss * np.maximum(dot(normal, unit(sun - way)), 0) ** 40 * (facing > 0)
        ambient, sunlight, horizon = (colour.astype(np.float32)[:, None] for colour in
                                      (light.ambient, light.sun, light.horizon))
        shade = ambient * self._ambience(point, normal, primitive) + sunlight * facing
        colour = albedo * shade + shine
        picture[:, at] = colour + (1 - np.exp(-distance / 90)) * (horizon - colour)
        return picture

    def _local(self, primitive: np.ndarray, point: np.ndarray) -> np.ndarray:
        """Transform world points (3, N) to the frames of their things."""
        things = self.scene.things
        frames = np.stack([thing.rotation.T for thing in things], axis=2).astype(np.float32)
        origins = np.stack([thing.origin for thing in things], axis=1).astype(np.float32)
        owner = self.world.owner[primitive]
        return apply(frames[:, :, owner], point - origins[:, owner])

    def _ambience(self, point: np.ndarray, normal: np.ndarray, primitive: np.ndarray
                  ) -> np.ndarray:
        """Return the share (N,) of ambient light at points (3, N): less low and under things."""
        share = 0.72 + 0.28 * normal[2]
        background = self.plane[primitive]
        share *= np.where(background, 1, 0.65 + 0.35 * np.clip(point[2] / 0.5, 0, 1))
        flat = np.flatnonzero(background & (point[2] < 1.5))
        x, y, z = point[:, flat]
        open_sky = np.ones_like(x)
        for centre, radius in self.world.balls:
            if not np.isfinite(radius):
                continue
            away = (x - np.float32(centre[0])) ** 2 + (y - np.float32(centre[1])) ** 2 + z * z
            open_sky *= 1 - np.exp(away / np.float32(-0.35 * radius * radius - 1e-4)) / 2
        share[flat] *= open_sky
        return share

    def _sky(self, directions: np.ndarray) -> np.ndarray:
        light = self.scene.light
        way = unit(directions)
        rise = np.clip(way[2], 0, 1)
        sky = light.horizon[:, None] + np.sqrt(rise) * (light.zenith - light.horizon)[:, None]
        over = way / (np.abs(way[2]) + 0.25)
        puff = noise(self.scene.noise, 2.5 * over) + 0.5 * noise(self.scene.noise, 6 * over)
        cover = light.clouds * np.clip(0.3 + 1.2 * puff, 0, 1) * np.clip(4 * rise, 0, 1)
        return (sky + cover * (0.95 - sky)).astype(np.float32)


def salient_instances(instance: np.ndarray, semseg: np.ndarray) -> list[int]:
    """Find the instances that a viewer would call the subject of the picture.

    Each object (semseg > 0) that covers at least 1 % of the picture scores
    area * exp(-(d / 0.35)^2), where d is the distance of its visible centroid to the picture's
    centre over the diagonal. Objects with at least half of the best score are salient.

    Args:
        instance: (H, W) int32.
        semseg: (H, W) uint8.

    Returns:
        Instance ids in increasing order; empty if no object is large enough.
    """
    height, width = instance.shape
    scores = {}
    for number in np.unique(instance[semseg > 0]):
        rows, columns = np.nonzero(instance == number)
        if rows.size < SALIENT_AREA * instance.size:
            continue
        off = np.hypot(rows.mean() + 0.5 - height / 2, columns.mean() + 0.5 - width / 2)
        scores[int(number)] = rows.size * np.exp(-(off / np.hypot(height, width) / 0.35) ** 2)
    best = max(scores.values(), default=0.0)
    return [number for number, score in scores.items() if score >= 0.5 * best]


def _edges(label: np.ndarray) -> np.ndarray:
    """Whether a pixel of (H, W) differs from its right or lower neighbour, or they from it."""
    edge = np.zeros(label.shape, dtype=bool)
    across, down = label[:, 1:] != label[:, :-1], label[1:] != label[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _picture(renderer: Renderer, hits: Hits) -> np.ndarray:
    """Compute linear RGB (3, H * W); average pixels on edges of primitives over extra rays."""
    at = np.flatnonzero(_edges(hits.primitive.reshape(renderer.size)))
    rows, columns = np.divmod(at, renderer.size[1])
    down, across = np.array(EDGE_OFFSETS).T[:, :, None]
    extra = renderer.cast(renderer.rays((rows + down).ravel(), (columns + across).ravel()))
    colours = renderer.colours(hits.joined(extra))
    picture, samples = np.split(colours, [hits.primitive.size], axis=1)
    # Clip before averaging, or a highlight would dominate its pixel.
    picture[:, at] += np.clip(samples, 0, 1.5).reshape(3, len(EDGE_OFFSETS), -1).sum(axis=1)
    picture[:, at] /= len(EDGE_OFFSETS) + 1
    return picture


def develop(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Develop linear RGB (H, W, 3) to uint8: exposure, vignette, noise, gamma."""
    height, width = picture.shape[:2]
    exposure = rng.uniform(0.34, 0.46) / max(float(picture.mean()), 0.05)
    tint = rng.uniform(0.94, 1.06, 3).astype(np.float32)
    y, x = np.ogrid[-1:1:height * 1j, -1:1:width * 1j]
    vignette = 1 - np.float32(rng.uniform(0.0, 0.15)) * (x * x + y * y)
    light = picture * (tint * np.float32(np.clip(exposure, 0.6, 1.8)))
    light = light * vignette.astype(np.float32)[..., None]
    # A soft shoulder instead of clipping, then shot and read noise, then display gamma.
    light = np.maximum(light, 0)
    light = light * (1 + light / 4) / (1 + light / 1.6)
    grain = rng.standard_normal(picture.shape, dtype=np.float32)
    light = light + np.float32(rng.uniform(0.004, 0.02)) * np.sqrt(light + 0.01) * grain
    return (255 * np.clip(light, 0, 1) ** np.float32(1 / 2.2) + 0.5).astype(np.uint8)


def render_scene(seed: int, height: int, width: int) -> RenderedScene:
    """Compose and render the scene of a seed.

    Args:
        seed: Non-negative; the same seed and size give the same bytes.
        height: Rows, at least 8.
        width: Columns, at least 8.

    Raises:
        ValueError: If the size is below 8 or the seed is negative.
    """
    if min(height, width) < 8 or seed < 0:
        raise ValueError(f'need a size of at least 8 and a seed of at least 0; got '
                         f'height={height}, width={width}, seed={seed}')
    rng = np.random.Generator(np.random.PCG64(seed))
    renderer = Renderer(compose_scene(rng, width / height), height, width)
    rows, columns = (grid.ravel() for grid in np.mgrid[:height, :width])
    hits = renderer.cast(renderer.rays(rows, columns))
    image = develop(_picture(renderer, hits).T.reshape(height, width, 3), rng)

    found = hits.primitive >= 0
    owner = np.where(found, renderer.world.owner[hits.primitive], -1)
    category = np.array([*(thing.category for thing in renderer.scene.things), 0], dtype=np.uint8)
    semseg = category[owner].reshape(height, width)
    instance = (owner + 1).astype(np.int32).reshape(height, width)
    parsing = np.where(found, renderer.part[hits.primitive], 0).astype(np.uint8)
    depth = np.where(found, hits.distance, 0) * -dot(renderer.axes[:, 2], hits.direction)
    normal = apply(renderer.axes.T, hits.normal).T
    return RenderedScene(
        image=image, semseg=semseg, instance=instance, parsing=parsing.reshape(height, width),
        saliency=np.isin(instance, salient_instances(instance, semseg)).astype(np.uint8),
        normal=np.ascontiguousarray(normal).reshape(height, width, 3),
        depth=depth.astype(np.float32).reshape(height, width), focal=float(renderer.focal),
        walls=renderer.scene.walls)
