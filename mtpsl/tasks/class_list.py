"""Check the arguments of a task that list its classes."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from torch import Tensor

LEFT = re.compile('(?<![a-z])left(?![a-z])')  # a word of its own
BREAKS = ('Cc', 'Zl', 'Zp')  # of Unicode: control characters, ends of lines and paragraphs
LISTS = (Sequence, np.ndarray, Tensor)  # ordered types


def check_names(owner: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """Check 1 to 255 distinct class names in one line, in the order of their ids.

    Raises:
        ValueError: anything else, such as a set, which has no order.
    """
    if isinstance(class_names, str) or not isinstance(class_names, Sequence) or not all(
            isinstance(name, str) for name in class_names):
        raise ValueError(f'{owner}: class_names must be a sequence of names in the order of their '
                         f'ids, got {class_names!r}')
    if not 1 <= len(class_names) <= 255:
        raise ValueError(f'{owner}: class_names must be 1 to 255 names, got {len(class_names)}')
    odd = next((name for name in class_names if name != name.strip() or not name
                or any(unicodedata.category(one) in BREAKS for one in name)), None)
    if odd is not None:
        raise ValueError(f'{owner}: class_names must be names in one line, without blanks around '
                         f'them, got {odd!r}')
    twice = [name for name in dict.fromkeys(class_names) if class_names.count(name) > 1]
    if twice:
        raise ValueError(f'{owner}: class_names must all differ, got {twice[0]!r} more than once')
    return tuple(class_names)


def mirror_order(owner: str, mirrored: Sequence[Sequence[str]] | None,
                 class_names: Sequence[str]) -> list[int] | None:
    """Return the class that each is in a mirror image; None where all stay what they are.

    Args:
        owner: whose argument it is.
        mirrored: pairs of classes that change places; None for those of names that differ by left
            and right alone.
        class_names: all names.

    Raises:
        ValueError: no pairs of the classes, or a class twice.
    """
    places = {name: number for number, name in enumerate(class_names)}
    if mirrored is None:
        lower = [name.lower() for name in class_names]
        mirrored = [(name, class_names[lower.index(other)])
                    for name, small in zip(class_names, lower)
                    if (other := LEFT.sub('right', small)) != small
                    and lower.count(other) == lower.count(small) == 1]
    ordered = isinstance(mirrored, Sequence) and not isinstance(mirrored, str)
    pairs = [tuple(pair) for pair in mirrored if isinstance(pair, (list, tuple))] if ordered else []
    named = [name for pair in pairs for name in pair]
    if (not ordered or len(pairs) < len(mirrored) or any(len(pair) != 2 for pair in pairs)
            or not places.keys() >= set(named) or len(set(named)) < len(named)):
        raise ValueError(f"{owner}: mirrored must be pairs of classes such as (('left arm', "
                         f"'right arm'),), each class at most once, got {mirrored!r}; the classes "
                         f'are {", ".join(class_names)}')
    order = list(range(len(class_names)))
    for one, other in pairs:
        order[places[one]], order[places[other]] = places[other], places[one]
    return order if pairs else None


def check_palette(owner: str, palette: Sequence[Sequence[int]] | np.ndarray,
                  classes: int) -> np.ndarray:
    """Convert one RGB colour of integers 0..255 per class to (classes, 3) uint8.

    Raises:
        ValueError: a wrong number of colours, or an invalid colour.
    """
    ordered = isinstance(palette, LISTS) and not isinstance(palette, str)
    if ordered and len(palette) != classes:
        raise ValueError(f'{owner}: palette must have one colour for each of the {classes} '
                         f'classes, got {len(palette)}')
    try:
        colours = np.asarray(palette) if ordered else np.empty(0)
    except ValueError:  # of different lengths
        colours = np.empty(0)
    if (colours.shape != (classes, 3) or colours.dtype.kind not in 'iu'
            or colours.min() < 0 or colours.max() > 255):
        raise ValueError(f'{owner}: palette must be RGB colours of whole numbers from 0 to 255, '
                         f'such as ((0, 0, 0), (255, 0, 0)), got {palette!r}')
    return colours.astype(np.uint8)


def check_weights(owner: str, class_weight: Sequence[float], classes: int) -> tuple[float, ...]:
    """Check one weight per class, in the order of the classes.

    Raises:
        ValueError: a wrong number of weights, one that is negative or not finite, or all 0.
    """
    try:
        ordered = isinstance(class_weight, LISTS) and not isinstance(class_weight, str)
        weights = tuple(map(float, class_weight)) if ordered else ()
    except (TypeError, ValueError):
        weights = ()
    if len(weights) != classes:
        raise ValueError(f'{owner}: class_weight must be a number for each of the {classes} '
                         f'classes, in their order, got {class_weight!r}')
    if not (all(0 <= weight < np.inf for weight in weights) and any(weights)):
        raise ValueError(f'{owner}: class_weight must be finite numbers >= 0, not all 0, got '
                         f'{class_weight!r}')
    return weights
