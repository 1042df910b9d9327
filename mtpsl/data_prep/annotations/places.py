"""Whether shapes lie where pixels are."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .matching import Match
from .outlines import Polygons
from .sources import BOX, Shape

SHARES = 1.0  # coordinates that all lie below are shares of the picture's sides
BEYOND = 0.05  # of a side, and at least PIXELS: further outside is no rounding
PIXELS = 2
MANY = 0.2  # of the boxes: so many outside are no slips of the hand


class _Place(NamedTuple):
    """A polygon: its picture, the shape, and left, top, right and bottom of its corners."""

    match: Match
    shape: Shape
    extent: tuple[float, float, float, float]

    def covers(self) -> bool:
        """Whether it may have pixels."""
        (height, width), (left, top, right, bottom) = self.match.drawn_on, self.extent
        return (left < min(right, width) and top < min(bottom, height) and right > 0
                and bottom > 0)

    def is_beyond(self) -> bool:
        """Whether it reaches beyond the picture by more than rounding."""
        (height, width), (left, top, right, bottom) = self.match.drawn_on, self.extent
        return (max(-left, right - width) > max(PIXELS, BEYOND * width)
                or max(-top, bottom - height) > max(PIXELS, BEYOND * height))


def check_places(matches: Iterable[Match]) -> None:
    """Raise ValueError where polygons are not in pixels of their picture.

    All are in shares of its sides, or many boxes reach beyond it, as corners do that are taken for
    a corner and a size.
    """
    places = list(_places(matches))
    if places and all(min(one.extent) >= 0 and max(one.extent) <= SHARES for one in places):
        raise ValueError(
            f'all coordinates of the {len(places)} polygons lie between 0 and 1: they are shares '
            "of the picture's sides, as YOLO has them; multiply x by the width and y by the height")
    boxes = [one for one in places if one.shape.kind == BOX]
    beyond = [one for one in boxes if one.is_beyond()]
    if beyond and len(beyond) >= MANY * len(boxes):
        height, width = beyond[0].match.drawn_on
        left, top, right, bottom = beyond[0].extent
        raise ValueError(
            f'{len(beyond)} of {len(boxes)} boxes reach beyond their picture, such as one of '
            f'{beyond[0].match.image.name} ({width} x {height}, width x height), from {left:g}, '
            f'{top:g} to {right:g}, {bottom:g}: COCO has x, y, width, height of a box in pixels, '
            'not two corners x1, y1, x2, y2, and not those of a picture of another size')


def without_pixels(matches: Iterable[Match]) -> Counter[str]:
    """How many polygons of each label lie outside of their picture, or have no area."""
    return Counter(one.shape.name for one in _places(matches) if not one.covers())


def beyond_picture(matches: Iterable[Match]) -> Counter[str]:
    """How many other polygons of each label reach beyond their picture by more than rounding."""
    return Counter(one.shape.name for one in _places(matches) if one.covers() and one.is_beyond())


def _places(matches: Iterable[Match]) -> Iterator[_Place]:
    for match in matches:
        for shape in match.annotated.shapes if match.annotated else ():
            if isinstance(shape.outline, Polygons):
                yield _Place(match, shape, shape.outline.extent())
