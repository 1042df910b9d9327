"""Which picture each annotated image is, and how it lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .outlines import Size
from .painting import ORIENTATION
from .sources import Annotated, Annotations

SHOWN = 3  # names in an error
TRANSPOSING = (5, 6, 7, 8)  # EXIF orientations that swap height and width


@dataclass(frozen=True, eq=False)
class Match:
    """A picture and what is drawn on it.

    Attributes:
        image: its file.
        annotated: what is drawn; None where it is not listed.
        drawn_on: (H, W) of the picture that it was drawn on.
        orientation: the EXIF orientation by which labels are turned, 1 where they were drawn on
            the picture as it is shown.
    """

    image: Path
    annotated: Annotated | None
    drawn_on: Size = (0, 0)
    orientation: int = 1


def match_images(found: Annotations, folder: Path, listed: Mapping[str, str],
                 missing: bool) -> tuple[list[Match], int]:
    """The pictures, first those that are annotated; and how many of these are not there.

    Args:
        found: the annotations.
        folder: where pictures lie.
        listed: id -> file name of the pictures in it.
        missing: whether some may not be there.

    Raises:
        FileNotFoundError: an image that is not there.
        ValueError: two images of one id, one of another size than the annotations say, or one that
            a file is not called after while such a picture is there too.
    """
    images = [(_find(one, folder, listed), one) for one in found.images]
    for image, one in images:
        if image is not None and one.beside in listed and image.stem != one.beside:
            raise ValueError(f'{one.source} says that it is of {one.name}, and beside it lies '
                             f'{listed[one.beside]}: renamed pictures need their new name as '
                             'imagePath in the file')
    absent = [one.name for image, one in images if image is None]
    if absent and (not missing or len(absent) == len(images)):
        raise FileNotFoundError(
            f'{len(absent)} of {len(images)} annotated images are not in {folder}, such as '
            f'{_examples(absent)}: --images names their folder, --allow-missing leaves them out')
    ids: dict[str, str] = {}
    for image, one in images:
        if image is not None and ids.setdefault(image.stem, one.name) != one.name:
            raise ValueError(f'{ids[image.stem]} and {one.name} would both be called '
                             f'{image.stem!r}: an id is the name of the file without suffix')
    sources = [str(image) for image, _ in images if image is not None]
    twice = next((name for name in sources if sources.count(name) > 1), None) if len(
        set(sources)) < len(sources) else None
    if twice:
        raise ValueError(f'{twice} is annotated twice')
    matches = [_match(image, one) for image, one in images if image is not None]
    wrong = [match for match in matches if match.drawn_on == (0, 0)]
    if wrong:
        raise ValueError(f'{len(wrong)} images have another size than their annotations say: '
                         + _examples([_sizes(match) for match in wrong]))
    matches += [Match(folder / name, None) for key, name in listed.items() if key not in ids]
    return matches, len(absent)


def _find(one: Annotated, folder: Path, listed: Mapping[str, str]) -> Path | None:
    name = Path(one.name)
    there = next((path for path in (folder / name, folder / name.name) if path.is_file()), None)
    return folder / listed[name.name] if there is None and name.name in listed else there


def _match(image: Path, one: Annotated) -> Match:
    """The match; ``drawn_on`` is (0, 0) where the sizes do not fit."""
    stored, orientation = _stored_size(image)
    shown = stored[::-1] if orientation in TRANSPOSING else stored
    if one.size in (None, shown):
        return Match(image, one, shown)
    return Match(image, one, stored, orientation) if one.size == stored else Match(image, one)


def _stored_size(path: Path) -> tuple[Size, int]:
    """(H, W) of a picture as it is stored, and its EXIF orientation."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            noted = picture.getexif().get(ORIENTATION, 1)
    except OSError as error:
        raise ValueError(f'cannot read the image {path}: {error}') from error
    return (height, width), noted if noted in range(1, 9) else 1


def _sizes(match: Match) -> str:
    (height, width), _ = _stored_size(match.image)
    said = ' x '.join(map(str, (match.annotated and match.annotated.size) or ()))
    return f'{match.image.name} (height x width {height} x {width}, annotated {said})'


def _examples(names: Sequence[str]) -> str:
    return ', '.join(names[:SHOWN]) + ', ...' * (len(names) > SHOWN)
