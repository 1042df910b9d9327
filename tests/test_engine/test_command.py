"""How a command line ends: one line of one process, whatever was raised."""

import argparse
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import zipfile

import pytest

from mtpsl.system import config_arguments as command
from mtpsl.system import torchrun
from mtpsl.system.arguments import exit_with_one_line
from mtpsl.system.config_arguments import TurnParser, one_line_errors


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    """How long was waited for another process's turn, without waiting."""
    found: list[float] = []
    monkeypatch.setattr(command.time, 'sleep', found.append)
    for name in ('MTPSL_TRACEBACK', 'RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    return found


class Plain:
    """Has no representation of its own, so Python's, with an address."""


def last_line(error: BaseException, capsys: pytest.CaptureFixture, status: int = 1) -> str:
    with pytest.raises(SystemExit) as end, one_line_errors('tool.py'):
        raise error
    assert end.value.code == status
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize('error, line', [
    (ValueError('a\n  b'), 'tool.py: error: a b  [ValueError; MTPSL_TRACEBACK=1 shows where]'),
    (KeyError('dataset'), "tool.py: error: there is no 'dataset'  [KeyError in last_line, "),
    (KeyError('no part of it is so'), 'tool.py: error: no part of it is so  [KeyError; '),
    (KeyError(), 'tool.py: error: an entry is missing  [KeyError in last_line, '),
    (AssertionError(), 'tool.py: error: a condition of the code does not hold  [AssertionError in'),
    (AttributeError("a list has no attribute 'items'"), "attribute 'items'  [AttributeError in "
     'last_line, tests/test_engine/test_command.py:'),
    (IndexError('list index out of range'), 'out of range  [IndexError in last_line, '),
    (ZeroDivisionError('division by zero'), 'by zero  [ZeroDivisionError in last_line, '),
    (RecursionError('maximum recursion depth exceeded'), 'exceeded  [RecursionError in last_line'),
    (pickle.UnpicklingError('invalid load key'), 'invalid load key  [UnpicklingError in last_line'),
    (zipfile.BadZipFile('not a zip'), 'error: not a zip  [BadZipFile in last_line, '),
    (json.JSONDecodeError('x', 'y', 0), 'error: x: line 1 column 1 (char 0)  [JSONDecodeError; '),
    (subprocess.CalledProcessError(1, 'x'), 'exit status 1.  [CalledProcessError in last_line'),
    (TypeError(f'no {Plain()!r}, {last_line!r}'), 'error: no Plain, last_line  [TypeError in '),
    (StopIteration(), 'error: StopIteration  [StopIteration in last_line, '),
    (MemoryError(), 'error: out of memory  [MemoryError in last_line, ')])
def test_any_error_is_one_line_that_says_something(error, line, capsys):
    found = last_line(error, capsys)
    assert line in found
    assert found.startswith('tool.py: error: ') and found.endswith('shows where]')


def test_the_traceback_is_there_for_who_wants_it(monkeypatch):
    monkeypatch.setenv('MTPSL_TRACEBACK', '1')
    with pytest.raises(AttributeError), one_line_errors('tool.py'):
        raise AttributeError
    with pytest.raises(ValueError):
        exit_with_one_line('tool.py', lambda: int('x'))


def test_an_interruption_is_a_line(capsys):
    assert last_line(KeyboardInterrupt(), capsys, 130) == 'tool.py: interrupted'


@pytest.mark.parametrize('end, code, shown', [
    (exit, None, ''), (sys.exit, 0, '0'), (sys.exit, 3, '3'), (sys.exit, 'why', "'why'")])
def test_an_exit_of_other_code_is_not_taken_for_the_end(end, code, shown, capsys):
    with pytest.raises(SystemExit) as found, one_line_errors('tool.py'):
        end(code)
    assert found.value.code == (3 if code == 3 else 1)
    line, = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r'tool\.py: error: tests/test_engine/test_command\.py:\d+ called '
                        rf'exit\({shown}\) before all was done', line)


def test_parsers_and_tools_end_as_they_do(capsys):
    with pytest.raises(SystemExit) as found, one_line_errors('tool.py'):
        argparse.ArgumentParser('tool.py').parse_args(['--help'])
    assert found.value.code == 0 and not capsys.readouterr().err


def test_other_ranks_leave_the_word_to_the_first(monkeypatch, capsys, waited):
    assert ' rank' not in last_line(ValueError('x'), capsys) and waited == []
    monkeypatch.setenv('RANK', '0')
    assert ' rank' not in last_line(ValueError('x'), capsys) and waited == []
    monkeypatch.setenv('RANK', '2')
    assert last_line(ValueError('x'), capsys).startswith('tool.py: error: rank 2: x  [')
    assert waited == [command.TURN]
    parser = TurnParser('tool.py')
    with pytest.raises(SystemExit):
        parser.error('x')
    assert waited == [command.TURN] * 2


def test_who_lost_another_process_says_so(monkeypatch, capsys, waited):
    monkeypatch.setenv('RANK', '0')
    line = last_line(RuntimeError('[gloo/transport/tcp/pair.cc:1] Connection closed by peer '
                                  '[127.0.0.1]:4242'), capsys)
    assert line.startswith('tool.py: error: rank 0 lost another process of the run, whose own line '
                           'says why: [gloo')
    assert waited == [command.TURN]
    line = last_line(RuntimeError('rank 1 (process 7 on a) is gone, so rank 0 stops; its own last '
                                  'line says why'), capsys)
    assert line.startswith('tool.py: error: rank 1 (process 7 on a) is gone')
    assert waited == [command.TURN] * 2  # in which torchrun ends it: the cause stays the last line


def test_converters_end_in_one_line_too(capsys):
    def fail() -> None:
        raise IndexError('list index out of range')
    with pytest.raises(SystemExit) as end:
        exit_with_one_line('tool.py', fail)
    assert end.value.code == 1
    assert capsys.readouterr().err == ('tool.py: error: list index out of range  [IndexError; '
                                       'MTPSL_TRACEBACK=1 shows where]\n')


def launch(monkeypatch: pytest.MonkeyPatch, exitcode: int) -> int:
    """The exit status of a launch whose rank 1 ends so."""
    failure = argparse.Namespace(exitcode=exitcode)

    def run(args: argparse.Namespace) -> None:
        error = torchrun.ChildFailedError.__new__(torchrun.ChildFailedError)
        error.get_first_failure = lambda: (1, failure)
        raise error
    monkeypatch.setattr(torchrun, 'run', run)
    with pytest.raises(SystemExit) as end:
        torchrun.main(['train.py', 'x'])
    return end.value.code


def test_the_launcher_is_silent_where_a_tool_has_spoken(monkeypatch, capsys):
    assert launch(monkeypatch, 1) == 1 and launch(monkeypatch, 3) == 3
    assert capsys.readouterr().err == ''
    assert launch(monkeypatch, -9) == 1
    assert capsys.readouterr().err == (
        'train.py: error: the process of rank 1 was ended by SIGKILL, perhaps for lack of memory '
        '(dmesg tells)\n')


PRINTING = """
import sys
from mtpsl.system.arguments import exit_with_one_line
from mtpsl.system.config_arguments import one_line_errors

def say():
    for _ in range(20000):
        print('a line')
    {after}

if {config}:
    with one_line_errors('x.py'):
        say()
else:
    exit_with_one_line('x.py', say)
"""


@pytest.mark.parametrize('config', [True, False])
@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_reader_that_goes_ends_it_in_silence(config, unbuffered):
    """As ``| head`` does; another pipe that breaks is an error as any other."""
    for after, status, said in (('', 141, ''), ('', 0, ''),
                                ('raise BrokenPipeError(32, "Broken pipe")', 1, 'error: ')):
        reads = 'head -1' if status == 141 else 'cat'
        done = subprocess.run(
            ['bash', '-c', f'"$0" -c "$1" | {reads} > /dev/null; exit ${{PIPESTATUS[0]}}',
             sys.executable, PRINTING.format(config=config, after=after)],
            env=os.environ | dict(PYTHONUNBUFFERED=unbuffered), capture_output=True, text=True)
        assert done.returncode == status and bool(done.stderr) == bool(said), done.stderr
        assert said in done.stderr


def test_an_interrupted_launch_ends_in_silence(monkeypatch, capsys):
    def run(args: argparse.Namespace) -> None:
        raise torchrun.SignalException('Process 7 got signal: 2', signal.SIGINT)
    monkeypatch.setattr(torchrun, 'run', run)
    with pytest.raises(SystemExit) as end:
        torchrun.main(['train.py', 'x'])
    assert end.value.code == 130 and capsys.readouterr().err == ''


@pytest.mark.parametrize('name, port', [('EADDRINUSE', True), ('timed out', False)])
def test_a_launch_that_finds_no_port_or_no_other_is_one_line(name, port, monkeypatch, capsys):
    def run(args: argparse.Namespace) -> None:
        raise torchrun.DistNetworkError(f'port: 29500,\nname: {name}.')
    monkeypatch.setattr(torchrun, 'run', run)
    with pytest.raises(SystemExit) as end:
        torchrun.main(['train.py', 'x'])
    line, = capsys.readouterr().err.splitlines()
    assert end.value.code == 1 and line.startswith('train.py: error: port: 29500, name: ')
    assert ('PORT=' in line) == port and '.;' not in line


@pytest.mark.parametrize('rank, said', [('0', 'tool.py: interrupted\n'), ('1', '')])
def test_one_process_says_that_all_were_interrupted(rank, said, monkeypatch, capsys):
    monkeypatch.setenv('RANK', rank)
    with pytest.raises(SystemExit) as end, one_line_errors('tool.py'):
        raise KeyboardInterrupt
    assert end.value.code == 130 and capsys.readouterr().err == said
