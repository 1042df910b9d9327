"""The command ``mtpsl``, which runs the tools by their names."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mtpsl.__main__ import listing, main, tools
from mtpsl.engine.config.model_index import config_names, home, models

ROOT = Path(__file__).parents[1]


@pytest.fixture
def mtpsl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command line here; what it printed."""
    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, 'argv', ['mtpsl', *arguments])
        main()
        return capsys.readouterr().out
    return run


def test_every_tool_has_a_name_of_its_own():
    names = Counter(path.stem for folder in ('tools', 'demo')
                    for path in (ROOT / folder).rglob('*') if path.suffix in ('.py', '.sh'))
    assert set(names.values()) == {1} and len(names) > 15
    assert not {'list', 'find'} & set(names)
    assert set(names) == set(tools()) - {'demo'}
    assert tools().get('demo') == tools().get('image_demo')


def test_the_list_shows_tools_with_their_purpose_and_configs(mtpsl):
    lines = mtpsl('list').splitlines()
    assert lines[0] == f'tools and configs of {ROOT}' == f'tools and configs of {home()}'
    assert f'  {"train":24}Train a model' in lines
    assert f'  {"slurm_train":24}Train under slurm' in lines
    shown = {line.split()[0]: line.split()[1:] for line in lines if line.startswith('  ')}
    assert set(shown) == {*tools(), *config_names(), *models()}
    assert all(shown[name] for name in tools())  # each says what it is for
    assert listing('jtr_random').split('configs\n')[1].split() == ['synthetic/jtr_random']
    assert listing('jtr_nyud_random').splitlines()[1:] == ['', 'models', '  jtr_nyud_random_r18']
    assert listing('nothing_of_this').endswith("nothing has 'nothing_of_this' in its name")


def test_find_prints_the_file(mtpsl):
    assert mtpsl('find', 'ss_nyud_random_r18') == f'{ROOT}/configs/ss/nyud_random_r18.py\n'
    with pytest.raises(SystemExit, match='mtpsl: error: the config file ss/nyud_x does not exist'):
        mtpsl('find', 'ss/nyud_x')


def test_a_tool_gets_the_arguments(mtpsl, capsys):
    with pytest.raises(SystemExit) as end:
        mtpsl('get_flops', 'synthetic/jtr_random', '--depth', '0')
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith('usage: get_flops.py ')
    assert error.endswith('get_flops.py: error: --depth must be at least 1, got 0\n')


def test_a_launch_script_runs_with_this_python(mtpsl, monkeypatch):
    called = []
    monkeypatch.setattr(os, 'execv', lambda path, arguments: called.append((path, arguments)) or
                        sys.exit(0))
    monkeypatch.delenv('PYTHON', raising=False)
    with pytest.raises(SystemExit):
        mtpsl('dist_train', 'x.py', '2', '--resume')
    (shell, arguments), = called
    assert Path(shell).name == 'bash'
    assert arguments == ['bash', f'{ROOT}/tools/dist_train.sh', 'x.py', '2', '--resume']
    assert os.environ.pop('PYTHON') == sys.executable


@pytest.mark.parametrize(('arguments', 'message'), [
    (['trian'], "mtpsl: error: there is no tool 'trian'; did you mean train"),
    (['?'], "mtpsl: error: there is no tool '?'; `mtpsl list` shows all"),
    (['find'], 'usage: mtpsl TOOL'),
    (['list', 'a', 'b'], 'usage: mtpsl TOOL')])
def test_what_is_no_command(mtpsl, arguments, message):
    with pytest.raises(SystemExit) as end:
        mtpsl(*arguments)
    assert str(end.value.code).startswith(message)


@pytest.mark.parametrize('arguments', [[], ['-h'], ['--help']])
def test_help(mtpsl, arguments):
    assert mtpsl(*arguments).startswith('usage: mtpsl TOOL [arguments]')


def test_a_list_that_nobody_reads_any_more_ends_in_silence():
    run = subprocess.run(['bash', '-c', f'{sys.executable} -m mtpsl list | head -1'], cwd=ROOT,
                         capture_output=True, text=True)
    assert len(run.stdout.splitlines()) == 1 and run.stderr == ''
