"""What annotators draw, and the pixels that it covers.

Coordinates are (x, y) in pixels from the outer corner of the first pixel: its centre is (0.5, 0.5).
A pixel is covered where its centre is inside, so that neighbours with a common edge share no pixel.
Shapes: H x W the picture, N corners.
"""

import base64
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageDraw

Points = Sequence[tuple[float, float]]
Size = tuple[int, int]  # (H, W)


class Window(NamedTuple):
    """Pixels of a part of a picture: (h, w) bool from ``top`` and ``left`` on."""

    top: int
    left: int
    mask: np.ndarray


class Outline(Protocol):
    """What a shape covers."""

    def window(self, size: Size, line_width: int) -> Window:
        """The pixels covered, of a picture of (H, W)."""


@dataclass(frozen=True)
class Polygons:
    """All of one or more polygons; where one crosses itself the even-odd rule holds.

    Args:
        rings: the corners of each.
    """

    rings: Sequence[Points]

    def window(self, size: Size, line_width: int) -> Window:
        corners = np.concatenate([np.asarray(ring, float) for ring in self.rings])
        top, left, bottom, right = _box(corners, size)
        mask = np.zeros((bottom - top, right - left), bool)
        for ring in self.rings:
            mask |= fill(np.asarray(ring, float) - (left, top), mask.shape)
        return Window(top, left, mask)

    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all corners."""
        corners = np.concatenate([np.asarray(ring, float) for ring in self.rings])
        (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
        return left, top, right, bottom


@dataclass(frozen=True)
class Ellipse:
    """An ellipse, turned clockwise by ``degrees``."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0

    def window(self, size: Size, line_width: int) -> Window:
        (x, y), longest = self.centre, max(self.radii)
        top, left, bottom, right = _box(
            np.array([[x - longest, y - longest], [x + longest, y + longest]]), size)
        down, across = np.ogrid[top + 0.5 - y:bottom - y, left + 0.5 - x:right - x]
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        along, aside = across * cos + down * sin, down * cos - across * sin
        with np.errstate(divide='ignore', invalid='ignore'):  # of no width: covers nothing
            mask = (along / self.radii[0]) ** 2 + (aside / self.radii[1]) ** 2 <= 1
        return Window(top, left, mask)


@dataclass(frozen=True)
class Line:
    """An open line through points, as wide as the rules say."""

    points: Points

    def window(self, size: Size, line_width: int) -> Window:
        points = np.asarray(self.points, float)
        corners = np.concatenate([points - line_width, points + line_width])
        top, left, bottom, right = _box(corners, size)
        picture = Image.new('1', (right - left, bottom - top))
        # Pillow's coordinates are those of the centres of pixels.
        track = [tuple(point) for point in (points - (left + 0.5, top + 0.5)).tolist()]
        ImageDraw.Draw(picture).line(track, 1, line_width, 'curve')
        return Window(top, left, np.array(picture))


@dataclass(frozen=True)
class Runs:
    """CVAT's mask: lengths of runs, row by row, of no and yes in turns, in a box of (h, w)."""

    top: int
    left: int
    shape: Size
    lengths: Sequence[int]

    def window(self, size: Size, line_width: int) -> Window:
        values = np.arange(len(self.lengths)) % 2 == 1
        mask = np.repeat(values, self.lengths).reshape(self.shape)
        return _within(Window(self.top, self.left, mask), size)


@dataclass(frozen=True)
class Picture:
    """Labelme's mask: a PNG, in base64, whose first pixel lies at ``top`` and ``left``."""

    top: int
    left: int
    content: str

    def window(self, size: Size, line_width: int) -> Window:
        with Image.open(BytesIO(base64.b64decode(self.content))) as picture:
            return _within(Window(self.top, self.left, np.array(picture.convert('L')) > 0), size)


@dataclass(frozen=True)
class Coloured:
    """The pixels of a picture that have one RGB colour."""

    path: Path
    colour: tuple[int, int, int]

    def window(self, size: Size, line_width: int) -> Window:
        with Image.open(self.path) as picture:
            return Window(0, 0, (np.array(picture.convert('RGB')) == self.colour).all(-1))


@dataclass(frozen=True)
class CocoRuns:
    """COCO's RLE, compressed or not, of a whole picture; pycocotools reads it."""

    shape: Size
    counts: str | Sequence[int]

    def window(self, size: Size, line_width: int) -> Window:
        return Window(0, 0, pycocotools().decode(self._encoded()) > 0)

    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the mask."""
        left, top, width, height = pycocotools().toBbox(self._encoded()).tolist()
        return left, top, left + width, top + height

    def _encoded(self) -> Any:
        rle = dict(size=list(self.shape), counts=self.counts)
        if isinstance(self.counts, str):
            return rle
        return pycocotools().frPyObjects(rle, *self.shape)


@cache
def pycocotools() -> Any:
    """COCO's own library.

    Raises:
        ImportError: it is not installed; the message says how it is.
    """
    try:
        return importlib.import_module('pycocotools.mask')
    except ImportError as error:
        raise ImportError('masks of COCO in run lengths (RLE) need pycocotools: pip install '
                          'pycocotools, or the extra labels of this package') from error


def fill(ring: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """(H, W) bool: the pixels whose centre is inside a polygon by the even-odd rule.

    Args:
        ring: (N, 2) corners.
        size: (H, W).
    """
    height, width = size
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    # Row r is crossed where y0 <= r + 0.5 < y1 or the other way round.
    first, last = (np.ceil(y - 0.5).clip(0, height).astype(int)
                   for y in (np.minimum(y0, y1), np.maximum(y0, y1)))
    crossed = last - first
    edge = np.repeat(np.arange(len(ring)), crossed)
    row = np.arange(len(edge)) - np.repeat(crossed.cumsum() - crossed, crossed) + first[edge]
    share = (row + 0.5 - y0[edge]) / (y1 - y0)[edge]
    column = np.ceil(x0[edge] + share * (x1 - x0)[edge] - 0.5).clip(0, width).astype(int)
    crossings = np.zeros((height, width + 1), np.int32)
    np.add.at(crossings, (row, column), 1)
    return crossings.cumsum(1)[:, :-1] % 2 == 1


def rectangle(left: float, top: float, right: float, bottom: float,
              degrees: float = 0.0) -> Polygons:
    """A box, turned clockwise about its centre."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    centre = corners.mean(0)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Polygons([((corners - centre) @ [[cos, sin], [-sin, cos]] + centre).tolist()])


def _box(corners: np.ndarray, size: Size) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the pixels around points (N, 2), within a picture."""
    if not np.isfinite(corners).all():
        raise ValueError('a shape with a corner that is no number')
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0))
    left, top = low.clip(0, size[::-1]).astype(int).tolist()
    right, bottom = high.clip((left, top), size[::-1]).astype(int).tolist()
    return top, left, bottom, right


def _within(window: Window, size: Size) -> Window:
    """The part of a window that lies in the picture."""
    top, left, mask = window
    mask = mask[max(-top, 0):max(size[0] - top, 0), max(-left, 0):max(size[1] - left, 0)]
    return Window(max(top, 0), max(left, 0), mask)
