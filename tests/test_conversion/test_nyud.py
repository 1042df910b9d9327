"""NYU Depth v2: every number of the converted files, and sources that are not as they should be."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from test_conversion.official import (
    NAMES,
    PLANES,
    TEST,
    TRAIN,
    files_of,
    nyud_arrays,
    write_labelled,
    write_nyud,
    write_splits,
)
from test_conversion.tool import TOOLS, Tool

from mtpsl.data_prep.conversion import convert_nyud
from mtpsl.data_prep.conversion.matlab import CACHE_LIMIT, cache_for_one
from mtpsl.data_prep.conversion.nyud import camera_for, window_radius

# Label 0, then NAMES: wall, floor, coffee table (furniture), television, toaster, cone (objects).
IDS = np.array([-1, 11, 4, 5, 10, 6, 6])
FULL, HALF = ('--size', 60, 80), ('--size', 30, 40)


def load(root: Path, split: str, number: int) -> dict[str, np.ndarray]:
    return {kind: np.load(root / split / kind / f'{number}.npy')
            for kind in ('image', 'label', 'depth', 'normal')}


def test_every_number_at_full_size(nyud: Tool, tmp_path: Path) -> None:
    source, root, arrays = write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD', nyud_arrays()
    nyud.run(*source, root, *FULL)
    for split, numbers in (('train', TRAIN), ('val', TEST)):
        for index, number in enumerate(numbers):
            found, k = load(root, split, index), number - 1
            assert all(values.dtype == np.float32 for values in found.values())
            assert np.allclose(found['image'], arrays['images'][k] / 255, atol=1e-6)
            assert np.array_equal(found['label'], IDS[arrays['labels'][k]])
            assert np.array_equal(found['depth'], arrays['depths'][k][..., None])
            known = arrays['rawDepths'][k] > 0
            assert np.abs(found['normal'] - PLANES[k])[known].max() < 2e-3
            assert not found['normal'][~known].any()
            # Image 2, number 3, is the one with a hole; it is the first of the training images.
            assert known.all() == (number != 3)
    wanted = {f'{split}/{kind}/{index}.npy' for split, count in (('train', 4), ('val', 2))
              for kind in ('image', 'label', 'depth', 'normal') for index in range(count)}
    assert files_of(root).keys() == wanted | {
        'conversion.json', 'classes.csv', 'train/numbers.txt', 'val/numbers.txt'}
    assert (root / 'train/numbers.txt').read_text() == '3\n7\n1\n4\n'
    assert (root / 'val/numbers.txt').read_text() == '6\n2\n'


def test_half_size_and_the_depth_of_the_sensor(nyud: Tool, tmp_path: Path) -> None:
    source, root, arrays = write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD', nyud_arrays()
    nyud.run(*source, root, *HALF, '--depth', 'rawDepths')
    found = load(root, 'train', 0)
    blocks = arrays['images'][2].reshape(30, 2, 40, 2, 3).mean((1, 3)) / 255
    assert np.allclose(found['image'], blocks, atol=1e-6)
    # The centres of the new pixels lie on corners of four; the one below right is taken.
    assert np.array_equal(found['label'], IDS[arrays['labels'][2][1::2, 1::2]])
    raw = arrays['rawDepths'][2][1::2, 1::2]
    assert np.array_equal(found['depth'][..., 0], raw) and not raw.all()
    assert np.array_equal(found['normal'].any(-1), raw > 0)
    assert np.abs(found['normal'] - PLANES[2])[raw > 0].max() < 2e-3


def test_the_summary_is_of_all_files(nyud: Tool, tmp_path: Path) -> None:
    source, root, arrays = write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD', nyud_arrays()
    nyud.run(*source, root, *FULL)
    (root / 'train/depth/0.npy').unlink()
    out = nyud.run(*source, root, *FULL)
    assert '5 images are already there' in out
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in
            (line.strip('|').split('|') for line in out.splitlines() if line.startswith('|'))}
    labels = IDS[arrays['labels'][[number - 1 for number in TRAIN]]]
    assert rows['60x80 pixels'] == ['train', 'val'] and rows['images'] == ['4', '2']
    assert rows['class wall'][0] == f'{100 * (labels == 11).mean():.2f} %'
    assert rows['class unknown'][0] == f'{100 * (labels == -1).mean():.2f} %'
    assert rows['class bed'] == ['0.00 %', '0.00 %']
    depths = arrays['depths'][[number - 1 for number in TEST]]
    assert rows['depth range'][1] == f'{depths.min():.4g} .. {depths.max():.4g}'
    # A hole of 10 x 4 pixels in one image of four.
    assert rows['normal known'] == [f'{100 - 100 * 40 / (4 * 60 * 80):.2f} %', '100.00 %']
    assert rows['depth known'] == ['100.00 %', '100.00 %']
    size = sum(len(content) for name, content in files_of(root / 'val').items()
               if name.endswith('.npy'))
    assert rows['size'][1] == f'{size / 1e6:.1f} MB'


def test_two_workers_give_the_same_files(nyud: Tool, tmp_path: Path) -> None:
    source = write_nyud(tmp_path / 'raw')
    nyud.run(*source, tmp_path / 'one', *FULL)
    command = [sys.executable, str(TOOLS / 'nyud.py'), 'convert', *source, str(tmp_path / 'two'),
               *map(str, FULL), '--workers', '2']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '6/6 images' in done.stdout and done.stderr == ''
    assert files_of(tmp_path / 'two') == files_of(tmp_path / 'one')


def test_the_camera_of_the_published_size() -> None:
    assert camera_for((480, 640)) == pytest.approx(
        (518.85790117450188, 519.46961112127485, 324.58244941119034, 252.73616633400465))
    # A picture's corner stays where it is.
    half = camera_for((240, 320))
    assert half.cx + 0.5 == pytest.approx((324.58244941119034 + 0.5) / 2)
    assert half.cy + 0.5 == pytest.approx((252.73616633400465 + 0.5) / 2)
    assert (half.fx, half.fy) == pytest.approx((518.85790117450188 / 2, 519.46961112127485 / 2))
    flat = camera_for((240, 640))
    assert (flat.fx, flat.fy) == pytest.approx((518.85790117450188, 519.46961112127485 / 2))


def test_windows_of_normals_scale_with_the_picture() -> None:
    assert [window_radius((rows, 900)) for rows in (480, 960, 240, 60)] == [7, 14, 4, 2]


def test_a_label_without_a_name(nyud: Tool, tmp_path: Path) -> None:
    for value, words in ((-3, 'has labels -3 to 6'), (7, 'has labels 0 to 7')):
        arrays = nyud_arrays()
        arrays['labels'] = arrays['labels'].astype(np.int16)
        arrays['labels'][2, 5, 5] = value
        write_labelled(tmp_path / 'a.mat', arrays)
        write_splits(tmp_path / 's.mat')
        line = nyud.fails(tmp_path / 'a.mat', tmp_path / 's.mat', tmp_path / f'to{value}', *FULL)
        assert f'image 3 {words}, but there are 6 names' in line


def test_depth_that_is_no_number_is_unknown(nyud: Tool, tmp_path: Path) -> None:
    arrays = nyud_arrays()
    arrays['depths'][2, 0, :3] = np.nan, np.inf, -1
    write_labelled(tmp_path / 'a.mat', arrays)
    write_splits(tmp_path / 's.mat')
    nyud.run(tmp_path / 'a.mat', tmp_path / 's.mat', tmp_path / 'NYUD', *FULL)
    found = load(tmp_path / 'NYUD', 'train', 0)
    assert not found['depth'][0, :3].any() and not found['normal'][0, :3].any()
    assert found['depth'].astype(bool).sum() == 60 * 80 - 3


def test_chunks_of_many_images_and_splits_of_version_73(nyud: Tool, tmp_path: Path) -> None:
    write_nyud(tmp_path / 'raw')
    write_labelled(tmp_path / 'a.mat', nyud_arrays(), compression='gzip')
    with h5py.File(tmp_path / 'a.mat') as file:
        assert file['images'].chunks[0] > 1
    with h5py.File(tmp_path / 's.mat', 'w') as file:
        file['trainNdxs'], file['testNdxs'] = np.array([TRAIN], float), np.array([TEST], float)
    nyud.run(tmp_path / 'raw/labeled.mat', tmp_path / 'raw/splits.mat', tmp_path / 'one', *FULL)
    nyud.run(tmp_path / 'a.mat', tmp_path / 's.mat', tmp_path / 'two', *FULL)
    one, two = files_of(tmp_path / 'one'), files_of(tmp_path / 'two')
    one.pop('conversion.json'), two.pop('conversion.json')
    assert one == two


def break_images(path: Path) -> None:
    """Overwrite the pixels, which a checksum guards."""
    arrays = nyud_arrays()
    write_labelled(path, arrays, fletcher32=True)
    with h5py.File(path) as file:
        start = file['images'].id.get_chunk_info(0).byte_offset
    with open(path, 'r+b') as file:
        file.seek(start + 20)
        file.write(bytes(200))


def change(**arrays: np.ndarray | None) -> dict[str, np.ndarray]:
    found = nyud_arrays() | arrays
    return {name: values for name, values in found.items() if values is not None}


ONES = np.ones((7, 60, 80))
BAD_FILES = {
    'no file': (lambda path: path.unlink(), 'there is no file'),
    'page': (lambda path: path.write_text('\n<!DOCTYPE html><title>404</title>'), 'a web page'),
    'zip': (lambda path: path.write_bytes(b'PK\3\4' + bytes(600)), 'not a MATLAB v7.3'),
    'v5': (lambda path: savemat(path, {'images': ONES}), 'not a MATLAB v7.3'),
    'truncated': (lambda path: path.write_bytes(path.read_bytes()[:50_000]), 'truncated'),
    'damaged': (break_images, "of variable 'images'"),
    'no depths': (lambda path: write_labelled(path, change(depths=None)),
                  "no variable 'depths'"),
    'floats': (lambda path: write_labelled(path, change(images=np.ones((7, 60, 80, 3)))),
               "'images' is 60 x 80 x 3 x 7 of float64"),
    'grey': (lambda path: write_labelled(path, change(images=ONES.astype(np.uint8))), 'not any x'),
    'fewer': (lambda path: write_labelled(path, change(labels=nyud_arrays()['labels'][:5])),
              "'labels' is 60 x 80 x 5 of uint16"),
    'size': (lambda path: write_labelled(path, change(rawDepths=np.ones((7, 30, 80)))),
             "'rawDepths' is 30 x 80 x 7"),
    'type': (lambda path: write_labelled(path, change(labels=ONES)), "'labels' is 60 x 80 x 7"),
    'names': (lambda path: write_labelled(path, nyud_arrays(), NAMES[:5]), 'there are 5 names'),
}


@pytest.mark.parametrize(('spoil', 'text'), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_mat_file_is_named_on_one_line(spoil, text: str, nyud: Tool,
                                             tmp_path: Path) -> None:
    source, root = write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD'
    spoil(Path(source[0]))
    line = nyud.fails(*source, root, *FULL)
    assert 'error: ' in line and source[0] in line and text in line
    assert not (root / 'conversion.json').exists()


@pytest.mark.parametrize(('train', 'test', 'text'), [
    ((0, 1), (2,), "'trainNdxs' has 0, but the images are 1 to 7"),
    ((1,), (2, 8), "'testNdxs' has 8"),
    ((1, 2, 1), (3,), "'trainNdxs' has a number twice"),
    ((1, 2), (3, 2), 'image 2 is in trainNdxs and in testNdxs'),
    ((1, 2.5), (3,), "'trainNdxs' has values that are not whole"),
    ((), (3,), "'trainNdxs' is empty"),
])
def test_bad_splits(train, test, text: str, nyud: Tool, tmp_path: Path) -> None:
    source = write_nyud(tmp_path / 'raw')
    write_splits(Path(source[1]), train, test)
    line = nyud.fails(*source, tmp_path / 'NYUD', *FULL)
    assert source[1] in line and text in line
    assert not (tmp_path / 'NYUD').exists()


@pytest.mark.parametrize(('content', 'text'), [
    (b'<html>', 'a web page'), (b'<?xml version="1.0"?>', 'a web page'),
    (b'abc', 'is not a MATLAB file'), (b'', 'is not a MATLAB file')])
def test_foreign_splits(content: bytes, text: str, nyud: Tool, tmp_path: Path) -> None:
    source = write_nyud(tmp_path / 'raw')
    whole = Path(source[1]).read_bytes()
    for bad in (content, whole[:200]) if content else (content,):
        Path(source[1]).write_bytes(bad)
        line = nyud.fails(*source, tmp_path / 'NYUD', *FULL)
        assert source[1] in line and (text in line or bad == whole[:200])
    savemat(source[1], {'trainNdxs': [[1.0]]})
    assert "no variable 'testNdxs'" in nyud.fails(*source, tmp_path / 'NYUD', *FULL)


def test_a_class_table_given_back(nyud: Tool, tmp_path: Path) -> None:
    source, one = write_nyud(tmp_path / 'raw'), tmp_path / 'one'
    nyud.run(*source, one, *FULL)
    rows = list(csv.reader((one / 'classes.csv').open()))
    assert rows == [['name', 'class'], *map(list, zip(
        NAMES, ('wall', 'floor', 'furniture', 'tv', 'objects', 'objects')))]
    nyud.run(*source, tmp_path / 'two', *FULL, '--class-table', one / 'classes.csv')
    assert files_of(tmp_path / 'two') == files_of(one)
    part = tmp_path / 'part.csv'
    part.write_text('\ufeffname,class\ncoffee table,table\ntoaster, unknown\n', 'utf-8')
    nyud.run(*source, tmp_path / 'three', *FULL, '--class-table', part)
    ids = np.array([-1, 11, 4, 9, 10, -1, 6])
    assert np.array_equal(load(tmp_path / 'three', 'val', 1)['label'],
                          ids[nyud_arrays()['labels'][1]])
    assert 'coffee table,table\n' in (tmp_path / 'three/classes.csv').read_text()
    line = nyud.fails(*source, one, *FULL, '--class-table', part)
    assert 'other settings: class_table is ' in line


def test_from_python(tmp_path: Path) -> None:
    source = write_nyud(tmp_path / 'raw')
    assert convert_nyud(*source, tmp_path / 'NYUD', workers=1, size=(60, 80)) == 6
    assert convert_nyud(*source, tmp_path / 'NYUD', workers=1, size=(60, 80)) == 0
    manifest = json.loads((tmp_path / 'NYUD/conversion.json').read_text())
    assert {name: manifest[name] for name in (
        'dataset', 'source', 'source_bytes', 'depth', 'num_train', 'num_val', 'height', 'width')
    } == dict(dataset='NYUD', source='labeled.mat', depth='depths', num_train=4, num_val=2,
              source_bytes=Path(source[0]).stat().st_size, height=60, width=80)
    with pytest.raises(ValueError, match='depth must be one of'):
        convert_nyud(*source, tmp_path / 'NYUD', depth='deep')


def test_the_cache_holds_the_chunks_of_one_image(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        # 7 images a chunk, which covers 1 x 32 x 40 of 3 x 80 x 60: 3 * 3 * 2 chunks in all.
        chunked = file.create_dataset('a', (60, 3, 80, 60), 'u1', chunks=(7, 1, 32, 40))
        assert cache_for_one(chunked) == 1 << 20  # 7 * 3 * 96 * 80 bytes are less than that
        large = file.create_dataset('b', (60, 3, 640, 480), 'u1', chunks=(7, 1, 320, 400))
        assert cache_for_one(large) == 7 * 3 * 640 * 800
        assert cache_for_one(file.create_dataset('c', (4, 4), 'f4')) == 1 << 20
        huge = file.create_dataset('d', (90, 3, 640, 480), 'f8', chunks=(90, 3, 640, 480))
        assert cache_for_one(huge) == CACHE_LIMIT
