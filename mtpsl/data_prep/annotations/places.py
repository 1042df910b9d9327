"""Whether shapes lie where pixels are."""

from collections import Counter
from collections.abc import Iterable

from .matching import Match
from .outlines import Polygons

SHARES = 1.0  # coordinates that all lie below are shares of the picture's sides


def check_places(matches: Iterable[Match]) -> None:
    """Raise ValueError where all polygons are in shares of the sides, rather than in pixels."""
    extents = [shape.outline.extent() for match in matches if match.annotated
               for shape in match.annotated.shapes if isinstance(shape.outline, Polygons)]
    if extents and all(min(extent) >= 0 and max(extent) <= SHARES for extent in extents):
        raise ValueError(
            f'all coordinates of the {len(extents)} polygons lie between 0 and 1: they are shares '
            "of the picture's sides, as YOLO has them; multiply x by the width and y by the height")


def without_pixels(matches: Iterable[Match]) -> Counter[str]:
    """How many polygons of each label lie outside of their picture, or have no area."""
    found: Counter[str] = Counter()
    for match in matches:
        height, width = match.drawn_on
        for shape in match.annotated.shapes if match.annotated else ():
            if isinstance(shape.outline, Polygons):
                left, top, right, bottom = shape.outline.extent()
                found[shape.name] += not (left < min(right, width) and top < min(bottom, height)
                                          and right > 0 and bottom > 0)
    return +found
