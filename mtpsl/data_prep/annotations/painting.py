"""Shapes of an image -> its label map."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from .names import REST, composed
from .outlines import Size
from .sources import Annotated, Shape

ORIENTATION = 0x0112  # of EXIF


@dataclass(frozen=True)
class Rules:
    """How shapes become a map.

    Attributes:
        meanings: label -> class id, unknown, or None; see :func:`.names.meanings`.
        outside: id of the pixels that no shape covers.
        by_area: whether smaller shapes lie on larger ones, rather than later on earlier ones.
        line_width: of lines, in pixels.
    """

    meanings: Mapping[str, int | None]
    outside: int
    by_area: bool
    line_width: int = 1

    def id_of(self, name: str) -> int | None:
        """What pixels of a label become; None where they are not drawn."""
        return self.meanings.get(composed(name), self.meanings.get(REST))

    def drawn(self, image: Annotated) -> list[tuple[int, Shape]]:
        """The shapes of an image that are drawn, with their ids."""
        return [(number, shape) for shape in image.shapes
                if (number := self.id_of(shape.name)) is not None]


def paint(image: Annotated, size: Size, rules: Rules, orientation: int = 1) -> np.ndarray:
    """The label map (H, W) uint8 of an image.

    Args:
        image: with its shapes.
        size: (H, W) of the picture that it was drawn on.
        rules: see :class:`Rules`.
        orientation: EXIF orientation by which the map is turned.
    """
    label = np.full(size, rules.outside, np.uint8)
    drawn = rules.drawn(image)
    if rules.by_area:  # drawn twice, since the masks of all would take a lot of memory
        areas = [-shape.outline.window(size, rules.line_width).mask.sum() for _, shape in drawn]
        drawn = [drawn[place] for place in np.argsort(areas, kind='stable')]
    for number, shape in drawn:
        top, left, mask = shape.outline.window(size, rules.line_width)
        height, width = mask.shape
        label[top:top + height, left:left + width][mask] = number
    if orientation == 1:
        return label
    picture = Image.fromarray(label)
    picture.getexif()[ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(picture))
