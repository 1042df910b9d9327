"""Procedural solid textures; materials of all things are drawn from one distribution."""
import colorsys
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PATTERNS = ('plain', 'mottled', 'stripes', 'checks', 'dots', 'wood', 'tiles')
# Cumulative probabilities of the patterns, on objects and on ground and walls.
SOLID_SHARES = (0.3, 0.52, 0.65, 0.73, 0.8)
FLAT_SHARES = (0.1, 0.4, 0.46, 0.56, 0.56, 0.7)
TABLE_SIZE = 32


@dataclass(frozen=True)
class Material:
    """The appearance of a surface.

    Args:
        pattern: One of ``PATTERNS``; tiles are for planes (they use local x and y only).
        colours: (2, 3) float32, linear RGB reflectances in [0, 1] that the pattern mixes.
        frequency: Cycles of the pattern per metre.
        axis: (3,) float32 unit vector, direction in which the pattern varies.
        grain: Strength of the fine noise, about 0.05 to 0.3.
        gloss: Strength of the highlight, 0 to 0.4.
    """

    pattern: str
    colours: np.ndarray
    frequency: float
    axis: np.ndarray
    grain: float
    gloss: float


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw linear RGB reflectance (3,) in [0, 1]: greys, earths, muted and vivid tones."""
    kind, hue, chroma, value = rng.random(4)
    if kind < 0.25:
        hsv = (hue, 0.06 * chroma, 0.15 + 0.78 * value)
    elif kind < 0.61:
        hsv = (0.03 + 0.09 * hue, 0.2 + 0.45 * chroma, 0.3 + 0.6 * value)
    elif kind < 0.89:
        hsv = (hue, 0.2 + 0.35 * chroma, 0.3 + 0.6 * value)
    else:
        hsv = (hue, 0.6 + 0.3 * chroma, 0.4 + 0.55 * value)
    return np.array(colorsys.hsv_to_rgb(*hsv), dtype=np.float32) ** np.float32(2.2)


def random_material(rng: np.random.Generator, size: float, flat: bool = False) -> Material:
    """Draw a material for a thing of about ``size`` metres; ``flat`` surfaces may be tiled."""
    kind, twotone, shade, frequency, grain, gloss = rng.random(6)
    pattern = PATTERNS[bisect(FLAT_SHARES if flat else SOLID_SHARES, kind)]
    first, second = random_colour(rng), random_colour(rng)
    # Mostly two tones of one colour, sometimes two colours.
    if twotone < 0.7:
        second = first * np.float32(0.35 + 0.45 * shade)
    if flat:
        # Large saturated surfaces would tint the whole picture.
        first, second = (0.48 * tone + 0.52 * tone.mean() for tone in (first, second))
    axis = np.eye(3)[rng.integers(2 if flat else 3)] + 0.15 * rng.standard_normal(3)
    return Material(pattern, np.stack([first, second]).astype(np.float32),
                    (2 + 4 * frequency) / size, (axis / (axis @ axis) ** 0.5).astype(np.float32),
                    0.06 + 0.24 * grain, max(0.0, 0.7 * gloss - 0.3))


def noise_table(rng: np.random.Generator) -> np.ndarray:
    """Draw the lattice (TABLE_SIZE ** 3,) float32 in [-1, 1] that :func:`noise` interpolates."""
    return rng.random(TABLE_SIZE ** 3, dtype=np.float32) * 2 - 1


def noise(table: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Compute smooth noise (N,) float32 in [-1, 1], one cell per unit, at points (3, N)."""
    cell = np.floor(points)
    f = points - cell
    f = f * f * (3 - 2 * f)
    # The table repeats; its size is a power of two, so a mask is its remainder.
    low = cell.astype(np.intp) & (TABLE_SIZE - 1)
    high = (low + 1) & (TABLE_SIZE - 1)
    planes = (low[0] * TABLE_SIZE ** 2, high[0] * TABLE_SIZE ** 2)
    rows = (low[1] * TABLE_SIZE, high[1] * TABLE_SIZE)
    corners = []
    for plane in planes:
        for row in rows:
            base = plane + row
            near, far = table[base + low[2]], table[base + high[2]]
            corners.append(near + f[2] * (far - near))
    front = corners[0] + f[1] * (corners[1] - corners[0])
    back = corners[2] + f[1] * (corners[3] - corners[2])
    return front + f[0] * (back - front)


def _wave(phase: np.ndarray, sharpness: float) -> np.ndarray:
    return np.clip(0.5 + sharpness * np.sin(np.float32(2 * np.pi) * phase), 0, 1)


def pattern_weight(material: Material, table: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Compute the share (N,) of the second colour at points (3, N) in the object's frame."""
    p = points * np.float32(material.frequency) + np.float32(0.37)
    if material.pattern == 'plain':
        return np.zeros_like(p[0])
    if material.pattern == 'mottled':
        return np.clip(0.5 + 0.9 * noise(table, p) + 0.5 * noise(table, 2.3 * p), 0, 1)
    if material.pattern == 'stripes':
        return _wave((material.axis[:, None] * p).sum(axis=0), 3)
    if material.pattern == 'checks':
        return (np.floor(p).sum(axis=0) % 2).astype(np.float32)
    if material.pattern == 'dots':
        return ((p - np.floor(p) - 0.5) ** 2).sum(axis=0) < np.float32(0.12)
    if material.pattern == 'wood':
        # Long grain: noise stretched along the axis shifts the rings.
        across = p - 0.85 * material.axis[:, None] * (material.axis[:, None] * p).sum(axis=0)
        return _wave(0.6 * (across[0] + across[1]) + noise(table, across), 0.5)
    # Tiles: every other row shifted by half a tile, joints in the second colour.
    row = np.floor(p[1])
    u, v = p[0] / 2 + 0.5 * (row % 2), p[1]
    edge = np.minimum(2 * np.abs(u - np.round(u)), np.abs(v - np.round(v)))
    return np.clip(1.5 - edge / 0.04, 0, 1)


def _tile_tone(table: np.ndarray, points: np.ndarray) -> np.ndarray:
    row = np.floor(points[1]).astype(np.int32)
    column = np.floor(points[0] / 2 + 0.5 * (row % 2) + 0.5).astype(np.int32)
    return table[(row * 733 + column * 197) % table.size]


def reflectance(materials: Sequence[Material], table: np.ndarray, index: np.ndarray,
                points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Compute the colours of surface points.

    Args:
        materials: The scene's materials.
        table: From :func:`noise_table`.
        index: (N,) int, material of each point.
        points: (3, N) float32, metres, in the frame of their objects.
        footprint: (N,) float32, metres that a pixel covers; finer detail is faded out.

    Returns:
        (3, N) float32 linear RGB reflectances in [0, 1].
    """
    colour = np.empty(points.shape, dtype=np.float32)
    fine = noise(table, 37 * points) / (1 + (20 * footprint) ** 2)
    fine += noise(table, 9 * points)
    order = np.argsort(index, kind='stable')
    bounds = np.searchsorted(index[order], np.arange(len(materials) + 1))
    for number, material in enumerate(materials):
        at = order[bounds[number]:bounds[number + 1]]
        if not at.size:
            continue
        where = points[:, at]
        sharp = 1 / (1 + ((1.5 * material.frequency * footprint[at]) ** 2) ** 2)
        share = 0.4 + sharp * (pattern_weight(material, table, where) - 0.4)
        light = 1 + material.grain * fine[at]
        if material.pattern == 'tiles':
            light += 0.15 * sharp * _tile_tone(
                table, where * np.float32(material.frequency) + np.float32(0.37))
        first, second = material.colours[:, :, None]
        colour[:, at] = (first + share * (second - first)) * light
    return np.clip(colour, 0, 1)
