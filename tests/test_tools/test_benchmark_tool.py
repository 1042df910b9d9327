"""The synthetic benchmark as a tool, on the smallest sizes."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import Mock

import cv2
import pytest
from in_process import load_tool, running_here

from mtpsl.analysis.benchmark.methods import BASELINE
from mtpsl.system.choices import PASCAL_TASKS as TASKS

from .conftest import run

MTL, PREDICTION = 'MTL Baseline', 'DiffusionMTL (Prediction)'
TOOL = load_tool('benchmark_synthetic.py')
SMALL = ['--seeds', '2', '--epochs', '1', '--train', '8', '--val', '4', '--size', '64',
         '--channels', '8', '--batch', '1', '--settings', 'onelabel', '--methods', BASELINE, MTL,
         PREDICTION, 'one step']


class ThisProcess:
    """In the place of a pool of processes or threads.

    No thread: mmengine leaves a lock of its registry of loggers held where building one fails, as
    some test before may have had it, and would wait for it for ever in another thread.
    """

    def __init__(self, *arguments: object) -> None: ...

    def __enter__(self) -> 'ThisProcess':
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, function: Callable, *arguments: object) -> Future:
        future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope='module')
def small(tmp_path_factory) -> tuple[Path, str]:
    """The folder of a finished benchmark, and what the tool said."""
    out = tmp_path_factory.mktemp('small') / 'benchmark'
    with running_here() as patch, redirect_stdout(io.StringIO()) as said:
        for pool in ('ProcessPoolExecutor', 'ThreadPoolExecutor'):
            patch.setattr(TOOL, pool, ThisProcess)
        TOOL.main(['--out', str(out), *SMALL])
    return out, said.getvalue()


def test_a_model_with_a_teacher_trains_it_first(tmp_path):
    with running_here() as patch, redirect_stdout(io.StringIO()):
        for pool in ('ProcessPoolExecutor', 'ThreadPoolExecutor'):
            patch.setattr(TOOL, pool, ThisProcess)
        TOOL.main(['--out', str(tmp_path / 'one'), *SMALL, '--seeds', '1', '--batch', '4',
                   '--methods', 'HiTTs'])
        with pytest.raises(SystemExit):
            TOOL.main(['--out', str(tmp_path / 'other'), *SMALL, '--methods', 'HiTTs'])
    folder = tmp_path / 'one/runs/hitts_onelabel_stage2_seed0'
    assert (folder / 'stage1/epoch_1.pth').is_file()
    log = (folder / 'log.txt').read_text()
    assert log.count('Epoch(train) [1]') == 2 and f'teacher is {folder}/stage1/epoch_1.pth' in log
    run, = json.loads((tmp_path / 'one/runs.json').read_text())['runs'].values()
    assert run['method'] == 'HiTTs'


def test_all_models_are_trained_tested_and_reported(small):
    out, said = small
    assert '16 models, 16 of them to train' in said and '16/16 ' in said and 'FAILED' not in said
    assert {path.name for path in (out / 'runs').iterdir()} == {
        f'{config}_seed{seed}' for seed in range(2) for config in (
            *(f'single_task_onelabel_{task}' for task in TASKS), 'mtl_baseline_onelabel',
            'diffusionmtl_onelabel', 'diffusionmtl_onelabel_steps1')}
    for folder in (out / 'runs').iterdir():
        assert 'Epoch(train) [1]' in (folder / 'log.txt').read_text()
    report = (out / 'report.md').read_text()
    assert report in said and report.count('(2 runs)') == 4
    results = json.loads((out / 'results.json').read_text())['results']
    assert len(results) == 8 and {len(one['metrics']) for one in results} == {5}
    seeds = [one['metrics']['normal/mErr'] for one in results if one['method'] == MTL]
    assert seeds[0] != seeds[1]
    assert cv2.imread(str(out / 'plot.png')) is not None and (out / 'plot.svg').stat().st_size


def test_a_second_call_trains_nothing_and_reports_all(small, monkeypatch, capsys):
    monkeypatch.setattr(TOOL, 'ProcessPoolExecutor', None)
    out, said = small
    for arguments, models in (([], 16), (['--seeds', '1', '--methods', MTL], 1)):
        (out / 'report.md').unlink()
        TOOL.main(['--out', str(out), *SMALL, *arguments])
        again = capsys.readouterr().out
        assert f'{models} models, 0 of them to train' in again
        report = (out / 'report.md').read_text()
        assert report in again and report in said  # with what earlier calls have left


@pytest.mark.parametrize('arguments, status, message', [
    (['--size', '96'], 1, 'runs.json holds a benchmark with --size 64, not 96; choose another '),
    (['--train', '9', '--batch', '2'], 1, '--train 8, not 9; --batch 1, not 2'),
    (['--size', '80'], 2, '--size must be a multiple of 32 of at least 64, got 80'),
    (['--size', '32'], 2, '--size must be a multiple of 32 of at least 64, got 32'),
    (['--channels', '6'], 2, '--channels must be a multiple of 8'),
    (['--methods', 'MTL'], 2, "--methods: invalid choice: 'MTL'"),
    (['--settings', 'full'], 2, "--settings: invalid choice: 'full'"),
    (['--seeds', '0'], 2, '--seeds: must be at least 1'),
    (['--workers', '-1'], 2, '--workers: must be at least 0'),
    (['--out', 'a b'], 2, '--out must be a path without blanks')])
def test_arguments_that_make_no_sense(arguments, status, message, small, capsys):
    with pytest.raises(SystemExit) as error:
        TOOL.main(['--out', str(small[0]), *SMALL, *arguments])
    assert error.value.code == status
    assert message in ' '.join(capsys.readouterr().err.split())


def test_failed_runs_are_named_and_the_others_kept(small, tmp_path):
    out = tmp_path / 'benchmark'
    shutil.copytree(small[0], out)
    broken = 'single_task_onelabel_parsing_seed1', 'mtl_baseline_onelabel_seed1'
    record = json.loads((out / 'runs.json').read_text())
    for name in broken:
        shutil.rmtree(out / 'runs' / name)
        del record['runs'][name]
    (out / 'runs.json').write_text(json.dumps(record))
    mapping = json.loads((out / 'data/label_mappings/onelabel.json').read_text())
    image = next(image for image, tasks in mapping.items() if tasks == ['parsing'])
    (out / f'data/human_parts/{image}.mat').write_bytes(b'no label')
    done = run('benchmark_synthetic.py', '--out', out, *SMALL, check=False, fresh=True)
    assert done.returncode == 1 and '16 models, 2 of them to train' in done.stdout
    assert done.stdout.count('FAILED: train.py: error: ') == 2
    assert f'error: 2 runs failed, see {out}/runs/{broken[0]}/log.txt' in done.stdout
    for name in broken:
        assert f'image {image}' in (out / 'runs' / name / 'log.txt').read_text()
    report = (out / 'report.md').read_text()
    assert report.count('(2 runs)') == 2 and report.count(BASELINE) == report.count(MTL) == 1


LOADING = """
import importlib, os, sys, torch
torch._C._cuda_getDeviceCount = lambda: sys.exit('CUDA was started')
torch.cuda._device_count_nvml = lambda: 1
for name in sys.argv[1:]:
    importlib.import_module(name)
assert torch.cuda.is_available()
"""


def test_loading_the_libraries_does_not_start_cuda(monkeypatch):
    """A process cloned from one that has started CUDA cannot use it."""
    monkeypatch.delenv('PYTORCH_NVML_BASED_CUDA_CHECK', raising=False)
    TOOL.train_all(Mock(jobs=1), Path(), [], Mock())
    for there in (True, False):
        env = {name: value for name, value in os.environ.items()
               if there or name != 'PYTORCH_NVML_BASED_CUDA_CHECK'}
        done = subprocess.run([sys.executable, '-c', LOADING, *TOOL.PRELOAD], env=env, check=False,
                              capture_output=True, text=True)
        assert ('CUDA was started' in done.stderr) != there and bool(done.returncode) != there


def test_scenes_that_cannot_be_made_end_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'executable', shutil.which('false'))
    with pytest.raises(SystemExit):
        TOOL.main(['--out', str(tmp_path), *SMALL])
    assert 'error: make_synthetic.py failed' in capsys.readouterr().err


def test_a_record_is_all_that_another_machine_needs(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(TOOL, 'ProcessPoolExecutor', None)
    kept = shutil.copy(small[0] / 'runs.json', tmp_path / 'kept.json')
    TOOL.main(['--out', str(tmp_path / 'elsewhere'), '--record', str(kept), *SMALL])
    assert '16 models, 0 of them to train' in capsys.readouterr().out
    assert not (tmp_path / 'elsewhere/data').exists()  # no scenes for nothing
    assert (tmp_path / 'elsewhere/report.md').read_text() == (small[0] / 'report.md').read_text()


def test_an_interruption_leaves_what_was_not_begun(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(TOOL, 'ProcessPoolExecutor', ThisProcess)
    monkeypatch.setattr(TOOL, 'run', lambda job, *rest: begun.append(job) or time.sleep(0.05))
    monkeypatch.setattr(TOOL, 'timedelta', lambda seconds: [][0])  # as Ctrl-C, after the first
    jobs = [TOOL.Job(MTL, 'onelabel', seed, '', 'mtl_baseline_onelabel') for seed in range(40)]
    with pytest.raises(IndexError):
        TOOL.train_all(TOOL.parse_args(SMALL), tmp_path, jobs, Mock())
    assert 1 <= len(begun) < 10
