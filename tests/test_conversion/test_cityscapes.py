"""Cityscapes: every number of the converted files, and sources that are not as they should be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_conversion.official import (
    CITY_NAMES,
    city_arrays,
    city_paths,
    files_of,
    write_cityscapes,
    write_png,
)
from test_conversion.tool import TOOLS, Tool

from mtpsl.data_prep.conversion import convert_cityscapes
from mtpsl.data_prep.conversion.convert import shrink_image

SIZE = ('--size', 16, 32)
# The official table, id by id.
CATEGORY = np.array([-1] * 7 + [0] * 4 + [1] * 6 + [2] * 4 + [3] * 2 + [4] + [5] * 2 + [6] * 8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_cityscapes(tmp_path / 'raw')


def test_every_number(cityscapes: Tool, source: Path, tmp_path: Path) -> None:
    root, seed = tmp_path / 'Cityscapes', 0
    out = cityscapes.run(source, root, *SIZE)
    labels = []
    for split, names in CITY_NAMES.items():
        assert (root / split / 'names.txt').read_text() == ''.join(f'{n}\n' for n in names)
        for index in range(len(names)):
            raw = city_arrays(seed)
            seed += 1
            image, label, depth = (np.load(root / split / kind / f'{index}.npy')
                                   for kind in ('image', 'label_7', 'depth'))
            assert {image.dtype, label.dtype, depth.dtype} == {np.dtype(np.float32)}
            blocks = raw['image'].reshape(16, 2, 32, 2, 3).mean((1, 3)) / 255
            assert np.allclose(image, blocks, atol=1e-6)
            assert np.array_equal(label, CATEGORY[raw['gtFine'][1::2, 1::2]])
            # Disparities 0 (unknown), 1 (none), 2 and 32257: d = (p - 1) / 256.
            wanted = [0, 0, 256 * (1 / 256) / 65535, 256 * (32256 / 256) / 65535]
            assert depth.shape == (16, 32, 1)
            assert depth[0, :4, 0] == pytest.approx(wanted, rel=1e-6)
            picked = raw['disparity'][1::2, 1::2].astype(float)
            assert np.allclose(depth[..., 0], np.where(picked > 0, picked - 1, 0) / 65535)
            labels += [label] * (split == 'train')
    wanted = {f'{split}/{kind}/{index}.npy' for split, names in CITY_NAMES.items()
              for kind in ('image', 'label_7', 'depth') for index in range(len(names))}
    assert files_of(root).keys() == wanted | {'conversion.json', 'train/names.txt',
                                              'val/names.txt'}
    share = 100 * np.mean(np.array(labels) == 6)
    assert f'| class vehicle | {share:.2f} % |' in ' '.join(out.split())
    assert json.loads((root / 'conversion.json').read_text())['num_train'] == 3


def test_rare_ids_can_be_void(cityscapes: Tool, source: Path, tmp_path: Path) -> None:
    cityscapes.run(source, tmp_path / 'to', *SIZE, '--void-rare')
    category = CATEGORY.copy()
    category[[9, 10, 14, 15, 16, 18, 29, 30]] = -1
    label = np.load(tmp_path / 'to/train/label_7/0.npy')
    ids = city_arrays(0)['gtFine'][1::2, 1::2]
    assert np.array_equal(label, category[ids]) and np.isin(ids, [9, 18]).any()
    # Not to be mixed with what was converted otherwise.
    line = cityscapes.fails(source, tmp_path / 'to', *SIZE)
    assert 'other settings: void_ids is 9 10 14 15 16 18 29 30, not None' in line


def test_two_workers_give_the_same_files(cityscapes: Tool, source: Path, tmp_path: Path) -> None:
    cityscapes.run(source, tmp_path / 'one', *SIZE)
    command = [sys.executable, str(TOOLS / 'cityscapes.py'), 'convert', str(source),
               str(tmp_path / 'two'), *map(str, SIZE), '--workers', '2']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == '' and '4/4 images' in done.stdout
    assert files_of(tmp_path / 'two') == files_of(tmp_path / 'one')


def test_the_usual_size_and_a_source_that_has_moved(source: Path, tmp_path: Path) -> None:
    assert convert_cityscapes(source, tmp_path / 'to', workers=1) == 4
    assert np.load(tmp_path / 'to/val/image/0.npy').shape == (128, 256, 3)
    assert convert_cityscapes(source.rename(tmp_path / 'moved'), tmp_path / 'to', workers=1) == 0


def first(source: Path, kind: str, split: str = 'train', index: int = 1) -> Path:
    return city_paths(source, split, CITY_NAMES[split][index])[kind]


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


@pytest.mark.parametrize('kind', ['image', 'gtFine', 'disparity'])
def test_a_truncated_file_is_named_and_replaced(kind: str, cityscapes: Tool, source: Path,
                                                tmp_path: Path) -> None:
    cityscapes.run(source, tmp_path / 'whole', *SIZE)
    path, root = first(source, kind), tmp_path / 'Cityscapes'
    content = path.read_bytes()
    halve(path)
    line = cityscapes.fails(source, root, *SIZE)
    assert 'cityscapes.py: error: ' in line and str(path) in line and 'truncated' in line
    assert (root / 'conversion.unfinished.json').exists()
    assert not (root / 'conversion.json').exists()
    assert (root / 'train/image/0.npy').exists() and not (root / 'train/image/1.npy').exists()
    path.write_bytes(content)
    cityscapes.run(source, root, *SIZE)
    assert files_of(root) == files_of(tmp_path / 'whole')


GREY = np.zeros((32, 64), np.uint8)
BAD_FILES = {
    'page': ('image', lambda path: path.write_text('<html>'), 'no PNG file'),
    'empty': ('gtFine', lambda path: path.write_bytes(b''), 'no PNG file'),
    'grey image': ('image', lambda path: write_png(path, GREY), 'mode L, not 8-bit RGB'),
    'colours': ('gtFine', lambda path: write_png(path, np.zeros((32, 64, 3), np.uint8)),
                'mode RGB, not 8-bit grey'),
    '8 bits': ('disparity', lambda path: write_png(path, GREY), 'mode L, not 16-bit grey'),
    'id 34': ('gtFine', lambda path: write_png(path, GREY + 34), 'id 34; there are 0 to 33'),
    'label size': ('gtFine', lambda path: write_png(path, GREY[:16]), 'is 16x64, its image 32x64'),
    'disparity size': ('disparity', lambda path: write_png(path, GREY.T.astype(np.uint16)),
                       'is 64x32, its image 32x64'),
}


@pytest.mark.parametrize(('kind', 'spoil', 'text'), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_named_on_one_line(kind: str, spoil, text: str, cityscapes: Tool,
                                         source: Path, tmp_path: Path) -> None:
    spoil(first(source, kind))
    line = cityscapes.fails(source, tmp_path / 'Cityscapes', *SIZE)
    assert 'error: ' in line and str(first(source, kind)) in line and text in line


def test_what_is_missing_is_said_before_anything_is_written(cityscapes: Tool, source: Path,
                                                            tmp_path: Path) -> None:
    root = tmp_path / 'Cityscapes'
    for index in (1, 2):
        first(source, 'gtFine', index=index).unlink()
    line = cityscapes.fails(source, root)
    assert 'gtFine is missing for 2 of the 3 images of train' in line
    assert str(first(source, 'gtFine')) in line
    first(source, 'image', 'val', 0).unlink()
    write_cityscapes(source / 'again')
    assert 'there are no images' in cityscapes.fails(source / 'leftImg8bit', root)
    first(source / 'again', 'image', 'val', 0).unlink()
    assert 'leftImg8bit/val' in cityscapes.fails(source / 'again', root)
    archive = tmp_path / 'gtFine.zip'
    archive.write_text('<html>')
    assert 'is not a folder: unpack it' in cityscapes.fails(archive, root)
    assert 'is not a folder' in cityscapes.fails(tmp_path / 'none', root)
    assert not root.exists()


def test_pictures_are_averaged_over_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    blocks = image.reshape(8, 8, 16, 8, 3).mean((1, 3)) / 255
    np.testing.assert_allclose(shrink_image(image, (8, 16)), blocks, atol=1e-6)
