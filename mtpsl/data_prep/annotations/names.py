"""What the labels of annotators mean: a class of the task, unknown, or nothing to draw."""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from .sources import Annotations

UNKNOWN = 255  # the id of pixels of which nothing is known
REST = '*'  # stands for all labels that are not named


def composed(name: str) -> str:
    """Return a label with its accents in composed form (NFC): tools save them in either form."""
    return unicodedata.normalize('NFC', name)


def meanings(classes: Sequence[str], renamed: Mapping[str, str], ignored: Collection[str],
             skipped: Collection[str]) -> dict[str, int | None]:
    """Label -> class id, ``UNKNOWN``, or None of what is not drawn; ``REST`` may be among them.

    Args:
        classes: names in the order of their ids; each means itself unless it is named below.
        renamed: label -> class.
        ignored: labels of pixels of which nothing is known.
        skipped: labels that are not drawn: what lies beneath is seen.

    Raises:
        ValueError: a label that is named twice, or a class that is none.
    """
    classes = list(map(composed, classes))
    renamed = {composed(label): composed(name) for label, name in renamed.items()}
    ignored, skipped = (set(map(composed, labels)) for labels in (ignored, skipped))
    foreign = [f'{label}={name}' for label, name in renamed.items() if name not in classes]
    if foreign:
        raise ValueError(f'map {", ".join(foreign)}: the classes are {", ".join(classes)}')
    named = Counter([*renamed, *ignored, *skipped])
    twice = [label for label, times in named.items() if times > 1]
    if twice:
        raise ValueError(f'map, ignore and skip must name a label once, got {", ".join(twice)} '
                         'more than once')
    return ({name: number for number, name in enumerate(classes)}
            | {label: classes.index(name) for label, name in renamed.items()}
            | dict.fromkeys(ignored, UNKNOWN) | dict.fromkeys(skipped))


def check_names(found: Annotations, known: Mapping[str, int | None],
                classes: Sequence[str]) -> None:
    """Raise ValueError where shapes have labels that mean nothing; all of them are listed."""
    counts = Counter(composed(shape.name) for image in found.images for shape in image.shapes)
    foreign = {name: count for name, count in counts.most_common()
               if name not in known and REST not in known}
    if not foreign:
        return
    listed = []
    for name, count in foreign.items():
        near = difflib.get_close_matches(name.lower(), [one.lower() for one in classes], 1, 0.8)
        hint = next((f', is it {one}?' for one in classes if [one.lower()] == near), '')
        listed.append(f'{name!r} ({count} shape{"s" * (count > 1)}{hint})')
    raise ValueError(f'labels that are no class of the task: {", ".join(listed)}. Its classes are '
                     f'{", ".join(classes)}; --map LABEL=CLASS, --ignore LABEL (unknown pixels) '
                     "and --skip LABEL (not drawn) say what a label means, '*' is all others")
