"""Maps the 894 label names of NYU Depth v2 to 13 classes, through the 40 of Gupta et al. 2013.

37 of the 40 are the labels of the same name. All other labels are in "other structure" or "other
prop", which are objects here, or in "other furniture", which is furniture. Name by name, the result
is that of the published tables classMapping40 (894 -> 40) and class13Mapping (40 -> 13), with which
the literature's preprocessed archive was made. The user's own table can replace all or some of it,
see :func:`read_class_table`.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mtpsl.data_prep.layouts import NYUD_CLASSES as CLASSES

UNKNOWN = 'unknown'  # in a class table; -1 in the files
# The 37 named ones of the 40 classes, by their class among the 13.
NAMED = {
    'bed': ('bed',),
    'books': ('books',),
    'ceiling': ('ceiling',),
    'chair': ('chair',),
    'floor': ('floor', 'floor mat'),
    'furniture': ('cabinet', 'bookshelf', 'counter', 'shelves', 'dresser', 'refridgerator',
                  'night stand'),
    'objects': ('pillow', 'mirror', 'clothes', 'paper', 'towel', 'shower curtain', 'box',
                'whiteboard', 'person', 'toilet', 'sink', 'lamp', 'bathtub', 'bag'),
    'picture': ('picture',),
    'sofa': ('sofa',),
    'table': ('table', 'desk'),
    'tv': ('television',),
    'wall': ('wall', 'door'),
    'window': ('window', 'blinds', 'curtain'),
}
# Some are surprising: the 40-class set counts bins, pets' beds and heaters as furniture, but a wine
# rack and a game table as props.
OTHER_FURNITURE = frozenset((
    'baby chair', 'barrel', 'bassinet', 'bean bag', 'bench', 'bookrack', 'bunk bed', 'cat bed',
    'cat cage', 'chart stand', 'chest', 'cloth drying stand', 'clothing dryer',
    'clothing drying rack', 'clothing hamper', 'clothing hanger', 'clothing washer',
    'coffee table', 'cradle', 'crate', 'crib', 'desk drawer', 'desser', 'display board',
    'display case', 'dog bed', 'dog cage', 'doily', 'doll house', 'dolly', 'drawer',
    'drying rack', 'drying stand', 'educational display', 'excercise equipment',
    'excercise machine', 'file box', 'file stand', 'filing shelves', 'flipboard',
    'foosball table', 'foot rest', 'furnace', 'furniture', 'garbage bin', 'grandfather clock',
    'headboard', 'heater', 'indoor fountain', 'ironing board', 'ladder', 'lectern',
    'luggage rack', 'mattress', 'music stand', 'ottoman', 'piano', 'piano bench',
    'ping pong table', 'playpen', 'pool table', 'radiator', 'room divider', 'slide',
    'stacked chairs', 'stacked plastic racks', 'stand', 'storage chest', 'storage rack',
    'storage shelvesbooks', 'stroller', 'tent', 'toys rack', 'toys shelf', 'trampoline',
    'treadmill', 'trolly', 'tv stand', 'wall divider', 'wardrobe', 'washing machine',
    'water cooler'))
_BY_NAME = {name: title for title, names in NAMED.items() for name in names} | dict.fromkeys(
    OTHER_FURNITURE, 'furniture')


def class_table(names: Sequence[str], replaced: Mapping[str, str]) -> dict[str, str]:
    """Return name -> class of the raw names, in their order.

    Args:
        names: raw names of the .mat file.
        replaced: name -> class of names to map differently, see :func:`read_class_table`.

    Raises:
        ValueError: ``replaced`` has a name that is not among ``names``.
    """
    strange = [name for name in replaced if name not in set(names)]
    if strange:
        raise ValueError('the class table has names that are not in the .mat file: '
                         + ', '.join(map(repr, strange)))
    return {name: replaced.get(name, _BY_NAME.get(name, 'objects')) for name in names}


def class_ids(names: Sequence[str], table: Mapping[str, str]) -> np.ndarray:
    """Return class ids (len(names) + 1,) float32 by raw label, -1 for label 0 and unknowns."""
    ids = dict(zip((UNKNOWN, *CLASSES), range(-1, len(CLASSES))))
    return np.array([-1, *(ids[table[name]] for name in names)], np.float32)


def format_class_table(table: Mapping[str, str]) -> str:
    """Format the table as CSV for :func:`read_class_table`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(('name', 'class'))
    writer.writerows(table.items())
    return text.getvalue()


def read_class_table(path: Path) -> dict[str, str]:
    """Read name -> class from a CSV file with the header ``name,class``.

    Raises:
        ValueError: it is another file, has an unknown class, or a name with two classes.
        OSError: it cannot be read.
    """
    try:
        # utf-8-sig: spreadsheets write a byte order mark.
        rows = [row for row in csv.reader(path.read_text('utf-8-sig').splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path} is not a CSV file in UTF-8: {error}') from error
    if not rows or rows[0] != ['name', 'class']:
        raise ValueError(f'{path} must begin with the line name,class')
    table: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) != 2:
            raise ValueError(f'{path}: {",".join(row)!r} is not a name and a class')
        name, title = row[0], row[1].strip()
        if title not in (UNKNOWN, *CLASSES):
            raise ValueError(f'{path}: {title!r}, of {name!r}, is not one of '
                             f'{", ".join(CLASSES)}, {UNKNOWN}')
        if table.setdefault(name, title) != title:
            raise ValueError(f'{path} has two classes for {name!r}')
    return table
