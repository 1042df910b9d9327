"""What was written: a table of the classes, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from prettytable import PrettyTable

from mtpsl.system.parallel import run_in_workers

from .names import REST, UNKNOWN
from .painting import Rules
from .places import beyond_picture, without_pixels
from .sources import Annotations

if TYPE_CHECKING:
    from .convert import Item, Target


def count_pixels(path: Path) -> np.ndarray:
    """(256,) the pixels of each id in a label file; white of a mask counts as 1.

    Raises:
        ValueError: it is damaged.
    """
    try:
        if path.suffix == '.npy':
            label = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as picture:
                label = np.array(picture)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f'{path} is damaged ({error}): delete it and run again') from error
    return np.bincount(label.ravel(), minlength=256)


def summarise(items: Sequence[Item], found: Annotations, target: Target, rules: Rules,
              empty: bool, absent: int, workers: int) -> str:
    """The table, over all label files, and a line for whatever was decided.

    Args:
        items: the images.
        found: the annotations.
        target: where the labels lie.
        rules: how shapes became maps.
        empty: whether images without a shape were labelled.
        absent: images that are listed but not there.
        workers: processes, at least 1.
    """
    labels = [item.label for item in items if item.label]
    pixels = np.array(run_in_workers(count_pixels, labels, workers, 'labels checked'))
    pixels = pixels.reshape(-1, 256)
    if target.mask and not target.array:
        pixels[:, 1], pixels[:, UNKNOWN] = pixels[:, UNKNOWN], 0
    annotated = [item.match.annotated for item in items if item.match.annotated]
    names = Counter(shape.name for image in annotated for shape in image.shapes)
    shapes = Counter()  # type: Counter[int | None]
    for name, count in names.items():
        shapes[rules.id_of(name)] += count
    table = PrettyTable(['class', 'images', 'pixels', 'shapes'])
    table.align = 'r'
    table.align['class'] = 'l'
    for number, name in (*enumerate(target.classes), (UNKNOWN, 'unknown')):
        of_class = pixels[:, number]
        share = 100 * of_class.sum() / max(pixels.sum(), 1)
        table.add_row([f'{number} {name}', np.count_nonzero(of_class), f'{share:.2f} %',
                       shapes[number]])
    return '\n'.join([table.get_string(), *_notes(items, found, target, rules, names, empty,
                                                  absent, pixels)])


def _notes(items: Sequence[Item], found: Annotations, target: Target, rules: Rules,
           names: Counter[str], empty: bool, absent: int, pixels: np.ndarray) -> list[str]:
    labelled = sum(item.label is not None for item in items)
    drawn = [rules.drawn(item.match.annotated) for item in items if item.match.annotated]
    kinds = Counter(shape.kind for shapes in drawn for _, shape in shapes)
    bare = sum(not shapes for shapes in drawn)
    turned = sum(item.match.orientation != 1 for item in items)
    outside = 'unknown' if rules.outside == UNKNOWN else target.classes[rules.outside]
    renamed = {name: rules.id_of(name) for name in names
               if rules.id_of(name) not in (None, UNKNOWN)
               and name != target.classes[rules.id_of(name) or 0]}
    unused = sorted(set(rules.meanings) - set(names) - set(target.classes) - {REST})
    order = 'smaller shapes on larger ones' if rules.by_area else (
        found.order or 'the later in the file on top')
    notes = [f'{target.labels}: {len(items)} images, {labelled} of them labelled, '
             f'{len(items) - labelled} not',
             f'drawn: {_counts(kinds)}; {order}; outside of shapes is {outside}']
    if kinds.keys() & {'line', 'linestrip', 'polyline'}:
        notes.append(f'lines are {rules.line_width} pixels wide (--line-width)')
    if renamed:
        notes.append('labels taken for classes: ' + ', '.join(
            f'{name} ({names[name]}) for {target.classes[number or 0]}'
            for name, number in sorted(renamed.items())))
    for meaning, words in ((UNKNOWN, 'unknown pixels'), (None, 'not drawn')):
        said = {name: count for name, count in names.items() if rules.id_of(name) == meaning}
        if said:
            notes.append(f'{words}: {_counts(said)}')
    if bare:
        notes.append(f'listed without a shape to draw: {bare}, ' + (
            f'labelled as {outside} all over' if empty else
            f'left unlabelled (--empty background labels them as {outside} all over)'))
    if found.left:
        notes.append(f'left out, as they have no area: {_counts(found.left)}')
    if nowhere := without_pixels(item.match for item in items):
        notes.append('outside of their picture or without an area, so that they cover nothing (are '
                     f'x and y exchanged, or of a picture of another size?): {_counts(nowhere)}')
    if beyond := beyond_picture(item.match for item in items):
        notes.append('reach far beyond their picture, what is there covers nothing (are they of a '
                     f'picture of another size?): {_counts(beyond)}')
    if turned:
        notes.append(f'drawn on the stored picture, turned as EXIF says: {turned}')
    if absent:
        notes.append(f'left out, listed but not there: {absent}')
    if unused:
        notes.append(f'no shape is called {", ".join(unused)}')
    if target.mask and UNKNOWN in rules.meanings.values() and (
            (pixels[:, UNKNOWN] > 0) & (pixels[:, 1] == 0)).any():
        notes.append('write ignore=(255,) for the task: some labels have unknown pixels but no yes')
    return notes


def _counts(counts: Counter[str] | dict[str, int]) -> str:
    return ', '.join(f'{name} {count}' for name, count in sorted(counts.items())) or 'nothing'
