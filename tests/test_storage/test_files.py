"""Files appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from mtpsl.datasets.transforms.loading import LoadImageFromFile, read_label
from mtpsl.engine.checkpoints.content import read_content
from mtpsl.system.files import (
    atomically,
    folder_lookup,
    left_behind,
    stands_in,
    user_path,
    write_array,
    write_image,
    write_keeping,
    write_text,
)
from mtpsl.tasks import build_tasks


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'a.txt'
    write_text(path, 'first')

    def fail(name: str) -> None:
        Path(name).write_text('half')
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        atomically(path, fail)
    assert path.read_text() == 'first' and os.listdir(path.parent) == ['a.txt']


def test_a_temporary_file_names_its_process_and_its_file(tmp_path: Path) -> None:
    found = []

    def write(name: str) -> None:
        found.append(left_behind(Path(name).name))
        Path(name).write_text('whole')

    atomically(tmp_path / 'epoch_1.pth', write)
    assert found == [(os.getpid(), 'epoch_1.pth')]
    assert not any(map(left_behind, ('epoch_1.pth', '.5pth', '.hidden.1.pth')))


def test_arrays_and_images(tmp_path: Path) -> None:
    values = np.arange(12.0).reshape(2, 2, 3)
    write_array(tmp_path / '0.npy', values)
    assert (np.load(tmp_path / '0.npy') == values).all()
    with pytest.raises(OSError, match='a.png'):
        write_image(tmp_path / 'a.png', np.zeros((0, 0, 3), np.uint8))
    with pytest.raises(OSError, match='a.nothing'):
        write_image(tmp_path / 'a.nothing', np.zeros((2, 2, 3), np.uint8))
    assert os.listdir(tmp_path) == ['0.npy']


def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/0.npy').touch()
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, 'listdir', lambda folder: listed.append(folder) or listdir(folder))
    is_there = folder_lookup()
    found = [is_there(path) for path in (tmp_path / 'a/0.npy', str(tmp_path / 'a/1.npy'),
                                         tmp_path / 'b/0.npy', tmp_path / 'a/0.npy')]
    assert found == [True, False, False, True] and listed == [str(tmp_path / 'a')]


def test_all_that_is_put_aside_in_one_second_is_kept(tmp_path: Path) -> None:
    for number in range(4):
        write_keeping(tmp_path / 'a.json', f'{number}')
        os.utime(tmp_path / 'a.json', (10, 10))
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == list('0123')
    write_keeping(tmp_path / 'a.json', '3')  # it holds that already
    assert len(list(tmp_path.iterdir())) == 4


def test_paths_as_users_write_them(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', '/home/x')
    monkeypatch.setenv('RUNS', 'runs')
    for text, meant in (('~/a', '/home/x/a'), ('$RUNS/a', 'runs/a'), ('/b/${RUNS}', '/b/runs'),
                        (Path('~/$RUNS'), '/home/x/runs'), ('a$', 'a$'), ('a b', 'a b')):
        assert user_path(text) == meant
    with pytest.raises(ValueError, match='a/\\$NONE: the environment has no NONE'):
        user_path('a/$NONE')
    there = tmp_path / '$NONE'  # a name after all
    there.touch()
    assert user_path(there) == str(there)


@pytest.mark.parametrize('content, told', [
    ('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n', 'Git LFS'),
    ('\n<!DOCTYPE html><html>', 'web page'), ('<html lang="en">', 'web page'), ('P2 1 1', '')])
def test_what_stands_in_the_place_of_a_file_is_named(content, told, tmp_path):
    paths = {name: tmp_path / f'a{name}' for name in ('.png', '.npy', '.pth')}
    for path in paths.values():
        path.write_text(content)
        assert told in stands_in(path) and bool(stands_in(path)) == bool(told)
    depth = build_tasks(dict(depth=dict(type='Depth')))['depth']
    for read in (lambda: read_label(depth, ((str(paths['.npy']),), len), None, {}),
                 lambda: read_content(str(paths['.pth'])),
                 lambda: LoadImageFromFile()(dict(img_path=str(paths['.png'])))):
        with pytest.raises(ValueError, match=told):
            read()
    assert stands_in(tmp_path / 'no') == ''
