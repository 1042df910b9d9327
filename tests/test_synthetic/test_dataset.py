"""Making a data set: what is deleted, repaired or refused, and how the processes end."""
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from mtpsl.storage import parallel
from mtpsl.storage.parallel import run_in_workers
from mtpsl.synthetic import dataset, write_pascal_layout
from mtpsl.synthetic.pascal_layout import scene_files, scene_id, write_scene

SIZE = (32, 40)


def write(root: Path, train: int = 2, val: int = 1, seed: int = 1, overwrite: bool = False) -> int:
    return write_pascal_layout(root, train, val, *SIZE, seed, workers=1, overwrite=overwrite)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


FOREIGN = ('JPEGImages/mine.jpg', 'JPEGImages/synthetic_000009.jpg', 'ImageSets/Context/mine.txt',
           'semseg/notes.txt', 'label_mappings/mine.json', 'README')


@pytest.mark.parametrize('damage', ['', '{', '[1]', '{"num_train": "2", "num_val": 1}'])
def test_overwrite_deletes_its_own_files_alone(tmp_path: Path, damage: str) -> None:
    root = tmp_path / 'a'
    write(root, train=6, val=2)
    # A scene beyond those of the manifest is not ours, unless the manifest cannot tell.
    foreign = [name for name in FOREIGN if not (damage and '000009' in name)]
    for name in foreign:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text('precious')
    if damage:
        (root / 'synthetic.json').write_text(damage)
    assert write(root, train=1, val=1, seed=2, overwrite=True) == 2
    write(tmp_path / 'b', train=1, val=1, seed=2)
    expected = contents(tmp_path / 'b') | dict.fromkeys(foreign, b'precious')
    assert contents(root) == expected


@pytest.mark.parametrize('name', ['synthetic.json', 'synthetic.unfinished.json'])
@pytest.mark.parametrize('damage', ['{', '[1]', '{}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, name: str, damage: str) -> None:
    (tmp_path / name).write_text(damage)
    with pytest.raises(ValueError, match=f'{tmp_path / name} is damaged.*--overwrite'):
        write(tmp_path)
    assert write(tmp_path, overwrite=True) == 3
    assert write(tmp_path) == 0


def test_a_finished_set_gets_back_the_files_it_lost(tmp_path: Path) -> None:
    write(tmp_path)
    before = contents(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('synthetic_*')}
    first, second = (scene_files(tmp_path, scene_id('train', number)) for number in (0, 1))
    lost = [*first.values(), second['parts']]
    for path in lost:
        path.unlink()
    assert write(tmp_path) == 2
    assert contents(tmp_path) == before
    for path in stamps.keys() - set(lost):
        assert path.stat().st_mtime_ns == stamps[path], path
    for name in ('ImageSets/Context/val.txt', 'ImageSets/Parts/train.txt'):
        (tmp_path / name).unlink()
        assert write(tmp_path) == 0
        assert contents(tmp_path) == before


def test_a_repair_that_is_interrupted_does_not_look_whole(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    scene_files(tmp_path, scene_id('val', 0))['image'].unlink()

    def interrupted(root: Path, identifier: str, height: int, width: int, seed: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, 'write_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path)
    assert not (tmp_path / 'synthetic.json').exists()
    assert (tmp_path / 'synthetic.unfinished.json').exists()


def test_two_runs_on_one_folder(tmp_path: Path) -> None:
    write(tmp_path / 'b', train=8)
    program = ('import sys; from mtpsl.synthetic import write_pascal_layout;'
               f'write_pascal_layout(sys.argv[1], 8, 1, {SIZE[0]}, {SIZE[1]}, 1, 1)')
    runs = [subprocess.Popen([sys.executable, '-c', program, str(tmp_path / 'a')],
                             stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            for _ in range(2)]
    for run in runs:
        assert run.communicate(timeout=60)[1] == ''
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')


def test_the_other_run_finishes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = dataset._write_image_sets

    def beaten(root: Path, splits: dict[str, list[str]]) -> None:
        real(root, splits)
        (root / 'synthetic.unfinished.json').unlink()

    monkeypatch.setattr(dataset, '_write_image_sets', beaten)
    assert write(tmp_path) == 3
    assert json.loads((tmp_path / 'synthetic.json').read_text())['num_train'] == 2


def test_files_taken_away_meanwhile_are_named(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, 'write_scene', lambda root, identifier, height, width, seed: None)
    with pytest.raises(ValueError, match=r'synthetic_000001\.mat has gone.*another run'):
        write(tmp_path)


def write_in_pool(root: Path, scenes: int) -> None:
    identifiers = [scene_id('train', number) for number in range(scenes)]
    run_in_workers(partial(write_scene, root, height=SIZE[0], width=SIZE[1], seed=1), identifiers,
                   2, 'scenes')


def test_errors_of_workers_arrive(tmp_path: Path) -> None:
    (tmp_path / 'human_parts').touch()
    with pytest.raises(OSError, match='human_parts'):
        write_in_pool(tmp_path, 8)


def test_an_interruption_leaves_the_rest_undone(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: parallel.Progress, done: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel.Progress, 'update', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_in_pool(tmp_path, 120)
    assert 1 <= len(list(tmp_path.glob('semseg/*/*.png'))) < 60


def test_another_run_starts_right_now(tmp_path: Path) -> None:
    # All there is to see of it is the temporary name of its manifest.
    (tmp_path / '.123.synthetic.unfinished.json').touch()
    assert write(tmp_path) == 3


def test_the_size_of_a_set_is_limited(tmp_path: Path) -> None:
    for counts in ((-1, 0), (0, 500_001)):
        with pytest.raises(ValueError, match='must be between 0 and 500000'):
            write(tmp_path / 'a', *counts)
    assert os.listdir(tmp_path) == []
