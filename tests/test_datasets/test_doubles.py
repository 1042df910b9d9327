"""Images that are trained and evaluated on."""

import os
from pathlib import Path

import numpy as np
import pytest

from mtpsl.datasets.checks.doubles import repeated, same_files


@pytest.fixture
def folders(tmp_path: Path) -> tuple[list[str], list[str]]:
    """Paths of two splits of arrays of one size; all differ."""
    paths: dict[str, list[str]] = dict(train=[], val=[])
    for split in paths:
        for number in range(4):
            path = tmp_path / split / f'{number}.npy'
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes([number, len(split)]) * 5000)
            paths[split].append(str(path))
    return paths['train'], paths['val']


def replace(path: str, make: object, source: str) -> None:
    os.unlink(path)
    make(source, path)


def copy(source: str, path: str) -> None:
    Path(path).write_bytes(Path(source).read_bytes())


def test_nothing_is_found_where_nothing_is(folders):
    for thorough in (False, True):
        assert same_files(*folders, thorough) == []
    assert same_files(folders[0], ['nowhere/0.npy'], True) == same_files(['a/0'], ['b/0']) == []


@pytest.mark.parametrize('make', [os.symlink, os.link, copy])
def test_the_same_file_by_its_path_a_link_or_a_copy(folders, make):
    train, val = folders
    assert same_files(train, [train[2]]) == [(train[2], train[2])]
    replace(val[1], make, train[1])  # of one name
    replace(val[3], make, train[0])  # of another
    assert same_files(train, val) == [(train[1], val[1])]
    assert same_files(train, val, True) == [(train[1], val[1]), (train[0], val[3])]


def test_one_path_written_in_other_ways(folders, tmp_path, monkeypatch):
    train, _ = folders
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'link').symlink_to(tmp_path / 'train')
    other = str(tmp_path / 'other/1.npy')  # of the same name, and the last
    for path in ('train/1.npy', './train//1.npy', 'val/../train/1.npy', 'link/1.npy'):
        assert same_files([*train, other], [path]) == [(train[1], path)]


def test_one_byte_at_the_end_differs(folders):
    train, val = folders
    content = np.frombuffer(Path(train[0]).read_bytes(), np.uint8).copy()
    content[-1] ^= 1
    Path(val[0]).write_bytes(content.tobytes())
    assert same_files(train, val) == same_files(train, val, True) == []


@pytest.mark.parametrize('make', [os.symlink, os.link, copy])
def test_an_image_under_two_names(folders, make):
    paths = folders[0]
    assert repeated(paths) == repeated([*paths, 'nowhere']) == []
    replace(paths[2], make, paths[1])
    assert repeated(paths) == repeated(paths, thorough=True) == [(paths[1], paths[2])]
    assert sorted(repeated([*paths, paths[0]])) == [(paths[0], paths[0]), (paths[1], paths[2])]


def test_files_of_one_size_are_compared_up_to_a_number(folders, monkeypatch):
    monkeypatch.setattr('mtpsl.datasets.checks.doubles.FEW', 3)
    assert repeated([*folders[0], folders[0][0]]) == []
    assert len(repeated([folders[0][0], *folders[0]])) == 1  # among the first
    assert len(repeated([*folders[0], folders[0][0]], thorough=True)) == 1
