"""Making a dataset: its files, how they are repaired, and how the processes end."""
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mtpsl.data_prep import resumable
from mtpsl.data_prep.synthetic import DEFAULT_SIZES, dataset
from mtpsl.data_prep.synthetic.dataset import write_scene
from mtpsl.system import parallel
from mtpsl.system.parallel import run_in_workers

from .conftest import FIRST, LAYOUTS, SECOND, SIZE, VAL, contents, every_layout, write

EACH_FILE = [(layout, name) for layout in LAYOUTS for name in FIRST[layout]]


def test_layouts() -> None:
    assert tuple(dataset.LAYOUTS) == tuple(DEFAULT_SIZES) == LAYOUTS


@every_layout
def test_the_files_of_a_set(tmp_path: Path, layout: str) -> None:
    assert write(tmp_path, train=1, val=0, layout=layout) == 1
    lists = {f'ImageSets/{kind}/{split}.txt' for kind in ('Context', 'Parts')
             for split in ('train', 'val')} if layout == 'pascal' else set()
    assert contents(tmp_path).keys() == {*FIRST[layout], *lists, 'synthetic.json'}
    assert json.loads((tmp_path / 'synthetic.json').read_text()) == {
        'num_train': 1, 'num_val': 0, 'height': 32, 'width': 40, 'seed': 1,
        'generator_version': 1, 'layout': layout}


@every_layout
def test_a_finished_set_gets_back_the_files_it_lost(tmp_path: Path, layout: str) -> None:
    write(tmp_path, layout=layout)
    before = contents(tmp_path)
    lost = [*FIRST[layout], SECOND[layout]]
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in before
              if name.endswith(('.jpg', '.png', '.mat', '.npy')) and name not in lost}
    for name in lost:
        (tmp_path / name).unlink()
    assert write(tmp_path, layout=layout) == 2
    assert contents(tmp_path) == before
    assert stamps == {name: (tmp_path / name).stat().st_mtime_ns for name in stamps}
    for name in ('ImageSets/Context/val.txt', 'ImageSets/Parts/train.txt'):
        if layout == 'pascal':
            (tmp_path / name).unlink()
            assert write(tmp_path) == 0
            assert contents(tmp_path) == before


@pytest.mark.parametrize(('layout', 'name'), EACH_FILE)
def test_each_file_that_is_missing_is_written_again(tmp_path: Path, layout: str, name: str
                                                    ) -> None:
    write(tmp_path, train=1, val=0, layout=layout)
    before = contents(tmp_path)
    (tmp_path / name).unlink()
    assert write(tmp_path, train=1, val=0, layout=layout) == 1
    assert contents(tmp_path) == before


@every_layout
def test_an_interrupted_run_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        layout: str) -> None:
    real, calls = dataset.write_scene, []

    def failing(root: Path, identifier: str, layout: str, height: int, width: int, seed: int
                ) -> None:
        calls.append(identifier)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(root, identifier, layout, height, width, seed)

    monkeypatch.setattr(dataset, 'write_scene', failing)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'a', train=5, layout=layout)
    assert not (tmp_path / 'a' / 'synthetic.json').exists()
    kept = tmp_path / 'a' / FIRST[layout][0]
    stamp = kept.stat().st_mtime_ns
    assert write(tmp_path / 'a', train=5, layout=layout) == 3
    assert kept.stat().st_mtime_ns == stamp
    monkeypatch.undo()
    write(tmp_path / 'b', train=5, layout=layout)
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')


@every_layout
def test_a_repair_that_is_interrupted_does_not_look_whole(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    write(tmp_path, layout=layout)
    (tmp_path / VAL[layout]).unlink()

    def interrupted(root: Path, identifier: str, layout: str, height: int, width: int, seed: int
                    ) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, 'write_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, layout=layout)
    assert not (tmp_path / 'synthetic.json').exists()
    assert (tmp_path / 'synthetic.unfinished.json').exists()


@every_layout
def test_two_runs_on_one_folder(tmp_path: Path, layout: str) -> None:
    write(tmp_path / 'b', train=8, layout=layout)
    program = ('import sys; from mtpsl.data_prep.synthetic import write_scenes;'
               f'write_scenes(sys.argv[1], {layout!r}, 8, 1, {SIZE[0]}, {SIZE[1]}, 1, 1)')
    runs = [subprocess.Popen([sys.executable, '-c', program, str(tmp_path / 'a')],
                             stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            for _ in range(2)]
    for run in runs:
        assert run.communicate(timeout=60)[1] == ''
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')


@every_layout
def test_the_other_run_finishes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                      layout: str) -> None:
    real = dataset._finish

    def beaten(plan: resumable.Plan, layout: dataset.Layout,
               splits: dict[str, list[str]]) -> None:
        real(plan, layout, splits)
        plan.unfinished.unlink()

    monkeypatch.setattr(dataset, '_finish', beaten)
    assert write(tmp_path, layout=layout) == 3
    assert json.loads((tmp_path / 'synthetic.json').read_text())['num_train'] == 2


@pytest.mark.parametrize(('layout', 'name'), EACH_FILE)
def test_files_taken_away_meanwhile_are_named(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, name: str) -> None:
    lost, real = tmp_path / name, resumable.run_in_workers

    def robbed(write: partial, items: list[str], workers: int, noun: str) -> None:
        real(write, items, workers, noun)
        lost.unlink()

    monkeypatch.setattr(resumable, 'run_in_workers', robbed)
    with pytest.raises(ValueError, match=f'{lost} has gone.*another run'):
        write(tmp_path, layout=layout)
    assert not (tmp_path / 'synthetic.json').exists()


def write_in_pool(root: Path, scenes: int, layout: str = 'pascal') -> None:
    identifiers = [f'synthetic_{number + 1:06d}' for number in range(scenes)]
    run_in_workers(partial(write_scene, root, layout=layout, height=SIZE[0], width=SIZE[1], seed=1),
                   identifiers, 2, 'scenes')


@every_layout
def test_workers_write_what_one_process_writes(tmp_path: Path, layout: str) -> None:
    write_in_pool(tmp_path / 'a', 3, layout)
    write(tmp_path / 'b', train=3, val=0, layout=layout)
    found, expected = contents(tmp_path / 'a'), contents(tmp_path / 'b')
    assert len(found) == 3 * len(FIRST[layout])
    assert found.items() <= expected.items()


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


@every_layout
def test_another_run_starts_right_now(tmp_path: Path, layout: str) -> None:
    # All there is to see of it is the temporary name of its manifest.
    (tmp_path / '.123.synthetic.unfinished.json').touch()
    assert write(tmp_path, layout=layout) == 3


def test_the_size_of_a_set_is_limited(tmp_path: Path) -> None:
    for counts in ((-1, 0), (0, 500_001)):
        with pytest.raises(ValueError, match='must be between 0 and 500000'):
            write(tmp_path / 'a', *counts)
    assert os.listdir(tmp_path) == []


def test_a_file_of_a_scene_depends_on_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / 'a', train=1, val=1, layout='nyud')
    write(tmp_path / 'b', train=3, val=2, layout='nyud')
    small, large = contents(tmp_path / 'a'), contents(tmp_path / 'b')
    assert {name for name in small if small[name] != large[name]} == {'synthetic.json'}
    assert not np.array_equal(np.load(tmp_path / 'a/train/image/0.npy'),
                              np.load(tmp_path / 'a/val/image/0.npy'))
