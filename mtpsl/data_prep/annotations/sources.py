"""What the formats have in common: images with named shapes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .outlines import Outline, Size

BOX = 'bbox'  # kind of COCO's shapes without an outline; those of other tools may be turned


class Shape(NamedTuple):
    """Something that was drawn.

    Attributes:
        name: its label.
        kind: what it is, such as 'polygon'.
        outline: the pixels that it covers.
    """

    name: str
    kind: str
    outline: Outline


@dataclass(frozen=True, eq=False)
class Annotated:
    """An image that the annotations list.

    Attributes:
        name: as they call it, perhaps with folders, perhaps without suffix.
        size: (H, W) as they say; None where they do not.
        shapes: those drawn first come first.
        source: the file that says so, for errors.
        beside: what the picture of a file of its own would be called, without suffix; '' where
            one file is of all images.
    """

    name: str
    size: Size | None
    shapes: Sequence[Shape]
    source: Path
    beside: str = ''


@dataclass(frozen=True)
class Annotations:
    """What a labelling tool has saved.

    Attributes:
        images: those that are listed.
        folders: where the pictures may lie, in the order to look in.
        digest: of the files' content.
        left: what has no area, such as points -> how many; it is left out.
        order: which shape lies on top of others, in words.
    """

    images: Sequence[Annotated]
    folders: Sequence[Path]
    digest: str
    left: Counter[str] = field(default_factory=Counter)
    order: str = 'the later in the file on top'


def digest(files: Iterable[Path]) -> str:
    """16 hexadecimal digits that tell one content of files from another."""
    found = hashlib.sha256()
    for path in files:
        found.update(path.name.encode() + b'\0' + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]
