"""Work in several processes: what a user sees of it."""

import os
import subprocess
import sys

import pytest

from mtpsl.system import parallel


class Clock:
    """A clock that is set by hand, seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize('live', [False, True])
def test_progress(live: bool, monkeypatch: pytest.MonkeyPatch,
                  capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    monkeypatch.setattr(parallel, 'time', clock)
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: live)
    progress = parallel.Progress(40, 'scenes')
    for done in range(1, 41):
        # 2 s a scene for the first ten, then 0.5 s.
        clock.now += 2 if done <= 10 else 0.5
        progress.update(done)
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.replace('\r', '\n').split('\n') if line.strip()]
    assert len(lines) == (40 if live else 10)
    # 8 in 16 s; 12 in 21 s, so 28 more take 49 s.
    bars = ('[####                ] ', '[######              ] ', f'[{"#" * 20}] ')
    first, second, whole = bars if live else ('', '', '')
    assert f'{first}8/40 scenes, 0.5 a second, 64 s left' in lines
    assert f'{second}12/40 scenes, 0.6 a second, 49 s left' in lines
    assert lines[-1] == f'{whole}40/40 scenes, 1.1 a second, 0 s left'
    assert out.endswith('\n') and out.count('\n') == (1 if live else 10)


def test_a_live_line_is_not_redrawn_too_often(monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    monkeypatch.setattr(parallel, 'time', clock)
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)
    progress = parallel.Progress(1000, 'scenes')
    for done in range(1, 1001):
        clock.now += 0.01
        progress.update(done)
    assert capsys.readouterr().out.count('\r') < 10 / 0.2 + 2


def test_results_keep_the_order_of_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    assert parallel.run_in_workers(abs, [], 2, 'numbers') == []
    for workers in (1, 2):
        assert parallel.run_in_workers(abs, list(range(-20, 0)), workers, 'numbers') == list(
            range(20, 0, -1))
    assert '20/20 numbers' in capsys.readouterr().out


def test_a_process_is_alive_until_it_ends():
    process = subprocess.Popen([sys.executable, '-c', ''])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not parallel.is_alive(process.pid)  # a zombie
    process.wait()
    assert not parallel.is_alive(process.pid) and not parallel.is_alive(10 ** 30)
    assert parallel.is_alive(os.getpid()) and parallel.is_alive(1)
