"""The 13 classes, and class tables of a user's own."""

import csv
from pathlib import Path

import pytest
from test_conversion.official import NAMES, write_nyud
from test_conversion.tool import Tool

from mtpsl.data_prep.conversion.nyud_classes import (
    CLASSES,
    NAMED,
    OTHER_FURNITURE,
    class_ids,
    class_table,
    format_class_table,
    read_class_table,
)

# The standard 40 classes in their order, and the published 40 -> 13, counted from 1.
FORTY = ('wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window',
         'bookshelf', 'picture', 'counter', 'blinds', 'desk', 'shelves', 'curtain', 'dresser',
         'pillow', 'mirror', 'floor mat', 'clothes', 'ceiling', 'books', 'refridgerator',
         'television', 'paper', 'towel', 'shower curtain', 'box', 'whiteboard', 'person',
         'night stand', 'toilet', 'sink', 'lamp', 'bathtub', 'bag')
THIRTEEN = (12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5, 7, 3, 2, 6, 11, 7, 7,
            7, 7, 7, 7, 6, 7, 7, 7, 7, 7)


def test_the_named_classes() -> None:
    ids = class_ids(FORTY, class_table(FORTY, {}))
    assert ids.tolist() == [-1, *(number - 1 for number in THIRTEEN)]
    assert sorted(FORTY) == sorted(name for names in NAMED.values() for name in names)
    assert CLASSES == ('bed', 'books', 'ceiling', 'chair', 'floor', 'furniture', 'objects',
                       'picture', 'sofa', 'table', 'tv', 'wall', 'window')


def test_the_others_are_furniture_or_objects() -> None:
    names = ('garbage bin', 'stacked chairs', 'piano', 'unknown', 'toaster', 'book', 'Wall')
    assert list(class_table(names, {}).values()) == ['furniture'] * 3 + ['objects'] * 4
    assert not OTHER_FURNITURE & set(FORTY)


def test_all_894_names_are_as_published() -> None:
    """``nyud13_published.csv``: classMapping40 and class13Mapping, one after the other."""
    with open(Path(__file__).parents[1] / 'data/nyud13_published.csv', encoding='utf-8') as file:
        published = {row['name']: row['class'] for row in csv.DictReader(file)}
    assert len(published) == 894
    table = class_table(list(published), {})
    assert {name: (title, published[name]) for name, title in table.items()
            if title != published[name]} == {}
    assert set(published) >= OTHER_FURNITURE


def test_a_table_and_its_text(tmp_path: Path) -> None:
    names = ('a, b', 'say "x"', ' spaced  out ', 'wall')
    table = class_table(names, {'a, b': 'tv', 'wall': 'unknown'})
    assert table == {'a, b': 'tv', 'say "x"': 'objects', ' spaced  out ': 'objects',
                     'wall': 'unknown'}
    path = tmp_path / 'table.csv'
    path.write_text(format_class_table(table), 'utf-8')
    assert read_class_table(path) == table
    assert class_ids(names, table).tolist() == [-1, 10, 6, 6, -1]


@pytest.mark.parametrize(('content', 'text'), [
    (b'', 'must begin with the line name,class'),
    (b'wall,wall\n', 'must begin with'),
    (b'name,class\nwall,walls\n', "'walls', of 'wall', is not one of bed, books"),
    (b'name,class\nwall\n', "'wall' is not a name and a class"),
    (b'name,class\nwall,wall\nwall,bed\n', "two classes for 'wall'"),
    (b'name,class\nsofa,sofa\nsopha,sofa\n', "not in the .mat file: 'sofa', 'sopha'"),
    (b'\xff\xfe\x00', 'not a CSV file in UTF-8'),
])
def test_bad_tables(content: bytes, text: str, nyud: Tool, tmp_path: Path) -> None:
    table = tmp_path / 'table.csv'
    table.write_bytes(content)
    assert not {'sofa', 'sopha'} & set(NAMES)
    line = nyud.fails(*write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD', '--class-table', table)
    assert text in line
    assert not (tmp_path / 'NYUD').exists()
    assert 'no.csv' in nyud.fails(*write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD',
                                  '--class-table', tmp_path / 'no.csv')
