"""What a run on a folder that is not empty deletes or refuses."""
import json
from pathlib import Path

import pytest

from mtpsl.data_prep.synthetic import write_scenes

from .conftest import FIRST, LAYOUTS, SECOND, VAL, array_layout, contents, every_layout, put, write

FOREIGN = {
    'pascal': ('JPEGImages/mine.jpg', 'JPEGImages/synthetic_000009.jpg',
               'ImageSets/Context/mine.txt', 'semseg/notes.txt', 'label_mappings/mine.json',
               'README'),
    'nyud': ('train/image/mine.npy', 'train/image/6.npy', 'train/depth/0.png', 'val/normal/2.npy',
             'test/image/0.npy', 'label_mappings/mine.json', 'README'),
    'cityscapes': ('train/image/mine.npy', 'train/label/0.npy', 'train/label_7/6.npy',
                   'val/depth/2.npy', 'test/image/0.npy', 'label_mappings/mine.json', 'README'),
}


@pytest.mark.parametrize('damage', ['', '{', '[1]', '{"num_train": "2", "num_val": 1}',
                                    '{"num_train": 6, "num_val": 2, "layout": ["pascal"]}'])
def test_overwrite_deletes_its_own_files_alone(tmp_path: Path, damage: str) -> None:
    root = tmp_path / 'a'
    write(root, train=6, val=2)
    # A scene beyond those of the manifest is not ours, unless the manifest cannot tell.
    foreign = put(root, [name for name in FOREIGN['pascal'] if not (damage and '000009' in name)])
    if damage:
        (root / 'synthetic.json').write_text(damage)
    assert write(root, train=1, val=1, seed=2, overwrite=True) == 2
    write(tmp_path / 'b', train=1, val=1, seed=2)
    assert contents(root) == contents(tmp_path / 'b') | foreign


@pytest.mark.parametrize('finished', [True, False])
@pytest.mark.parametrize('wanted', LAYOUTS)
@every_layout
def test_overwrite_by_any_layout(tmp_path: Path, layout: str, wanted: str, finished: bool) -> None:
    root = tmp_path / 'a'
    write(root, train=6, val=2, layout=layout)
    if not finished:
        (root / 'synthetic.json').rename(root / 'synthetic.unfinished.json')
    foreign = put(root, [name for name in FOREIGN[layout] if name not in FIRST[wanted]])
    assert write(root, train=1, val=1, seed=2, overwrite=True, layout=wanted) == 2
    write(tmp_path / 'b', train=1, val=1, seed=2, layout=wanted)
    assert contents(root) == contents(tmp_path / 'b') | foreign


@pytest.mark.parametrize(('layout', 'wanted', 'name'), [
    ('pascal', 'pascal', 'JPEGImages/synthetic_000003.jpg'), ('nyud', 'nyud', 'val/image/1.npy'),
    ('nyud', 'cityscapes', 'train/label_7/0.npy'),
    ('cityscapes', 'pascal', 'ImageSets/Context/train.txt')])
def test_overwrite_takes_no_foreign_file_for_its_own(tmp_path: Path, layout: str, wanted: str,
                                                     name: str) -> None:
    write(tmp_path, layout=layout)
    put(tmp_path, [name])
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f'{tmp_path / name} is in the way'):
        write(tmp_path, train=3, val=2, overwrite=True, layout=wanted)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('name', ['synthetic.json', 'synthetic.unfinished.json'])
@pytest.mark.parametrize('damage', ['{', '[1]', '{}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, name: str, damage: str) -> None:
    (tmp_path / name).write_text(damage)
    with pytest.raises(ValueError, match=f'{tmp_path / name} is damaged.*--overwrite'):
        write(tmp_path)
    assert write(tmp_path, overwrite=True) == 3
    assert write(tmp_path) == 0


def test_a_damaged_set_of_pascal_is_known_by_any_of_its_files(tmp_path: Path) -> None:
    names = [FIRST['pascal'][i].replace('000001', f'00000{i + 2}') for i in range(6)]
    put(tmp_path, [*names, 'semseg/pascal-context/synthetic_000010.png'])
    (tmp_path / 'synthetic.json').write_text('{')
    assert write(tmp_path, train=0, val=0, overwrite=True) == 0
    assert all(name.startswith(('ImageSets/', 'synthetic.json')) for name in contents(tmp_path))


@pytest.mark.parametrize('overwrite', [True, False])
@pytest.mark.parametrize('present', LAYOUTS)
@pytest.mark.parametrize('damage', ['{', '{"num_train": 2, "layout": "nyud"}',
                                    '{"num_train": 2, "num_val": 1, "layout": "kitti"}'])
@array_layout
def test_numbered_files_are_not_deleted_without_a_manifest(
        tmp_path: Path, layout: str, damage: str, present: str, overwrite: bool) -> None:
    write(tmp_path, train=1, val=0, layout=present)
    (tmp_path / 'synthetic.json').write_text(damage)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f'synthetic.json is damaged.* the layout {layout} '
                                         f'.*delete {tmp_path} by hand'):
        write(tmp_path, layout=layout, overwrite=overwrite)
    assert contents(tmp_path) == before


def test_pascal_over_a_damaged_set_of_numbered_files_keeps_them(tmp_path: Path) -> None:
    write(tmp_path, layout='nyud')
    (tmp_path / 'synthetic.json').write_text('{')
    before = contents(tmp_path)
    assert write(tmp_path, overwrite=True) == 3
    del before['synthetic.json']
    assert before.items() <= contents(tmp_path).items()


@pytest.mark.parametrize('name', ['synthetic.json', 'synthetic.unfinished.json'])
def test_a_manifest_without_a_layout_is_of_pascal(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    manifest = json.loads((tmp_path / 'synthetic.json').read_text())
    (tmp_path / 'synthetic.json').unlink()
    (tmp_path / name).write_text(json.dumps(
        {key: value for key, value in manifest.items() if key != 'layout'}))
    with pytest.raises(ValueError, match=': layout is pascal, not nyud; choose.*--overwrite'):
        write(tmp_path, layout='nyud')
    with pytest.raises(ValueError, match=': seed is 1, not 2; choose'):
        write(tmp_path, seed=2)
    assert write(tmp_path) == 0
    (tmp_path / SECOND['pascal']).unlink()
    assert write(tmp_path) == 1
    assert json.loads((tmp_path / 'synthetic.json').read_text()) == manifest
    # Overwriting it deletes files of the layout pascal.
    (tmp_path / 'synthetic.json').write_text('{"num_train": 2, "num_val": 1}')
    assert write(tmp_path, train=1, val=0, overwrite=True, layout='cityscapes') == 1
    assert contents(tmp_path).keys() == {*FIRST['cityscapes'], 'synthetic.json'}


@pytest.mark.parametrize('wanted', LAYOUTS)
@every_layout
def test_another_layout_is_refused(tmp_path: Path, layout: str, wanted: str) -> None:
    write(tmp_path, layout=layout)
    before = contents(tmp_path)
    if layout == wanted:
        assert write(tmp_path, layout=wanted) == 0
    else:
        with pytest.raises(ValueError, match=f': layout is {layout}, not {wanted}; choose'):
            write(tmp_path, layout=wanted)
    assert contents(tmp_path) == before


def test_a_layout_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='layout must be one of pascal, nyud, cityscapes, got no'):
        write(tmp_path / 'a', layout='no')
    assert not (tmp_path / 'a').exists()


@every_layout
def test_nothing_is_mixed_or_destroyed(tmp_path: Path, layout: str) -> None:
    root, image = tmp_path / 'a', FIRST[layout][0]
    write(root, train=1, val=0, layout=layout)
    with pytest.raises(ValueError, match=r'seed is 1, not 2.*--overwrite'):
        write(root, train=1, val=0, seed=2, layout=layout)
    write(root, train=0, val=1, seed=2, overwrite=True, layout=layout)
    assert not (root / image).exists() and (root / VAL[layout]).exists()
    put(tmp_path / 'b', [image])
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=f"{tmp_path / 'b'} is not empty"):
            write(tmp_path / 'b', overwrite=overwrite, layout=layout)
    assert contents(tmp_path / 'b') == {image: b'precious'}
    with pytest.raises(ValueError, match='width must be between 32'):
        write_scenes(tmp_path / 'c', layout, 1, 0, 48, 31, seed=1)
    assert not (tmp_path / 'c').exists()
