"""The launch scripts with a stub for srun or Python that prints its arguments, one per line."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
SCRIPTS = ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh')
VARIABLES = ('NNODES', 'NODE_RANK', 'PORT', 'MASTER_ADDR', 'MASTER_PORT', 'GPUS',
             'GPUS_PER_NODE', 'CPUS_PER_TASK', 'SRUN_ARGS', 'PYTHON')
EXTRA = ('--cfg-options', 'a=b c', '*')  # quoting must keep the space and the star


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder, with a space in its name, that holds the stubs and a config."""
    folder = tmp_path / 'with space'
    folder.mkdir()
    for name in ('srun', 'my python'):
        path = folder / name
        path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / 'config.py').touch()
    return folder


def launch(stubs: Path, script: str, *arguments: str, path: str | None = None,
           **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the folder of the stubs."""
    clean = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    found = f'{stubs}{os.pathsep}{os.environ["PATH"]}' if path is None else path
    return subprocess.run(['/bin/bash', str(TOOLS / script), *arguments], cwd=stubs, text=True,
                          capture_output=True, check=False, timeout=60,
                          env=clean | {'PATH': found} | variables)


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def positional(script: str, gpus: str = '2', config: str = 'config.py') -> tuple[str, ...]:
    """What a script needs before the tool's own arguments."""
    checkpoint = ('my model.pth',) if 'test' in script else ()
    if script.startswith('dist'):
        return (config, *checkpoint, gpus)
    return ('part', 'my job', config, *checkpoint)


def tool(script: str) -> list[str]:
    """The tool's path and arguments up to the launcher's name."""
    name = 'test' if 'test' in script else 'train'
    return [f'{TOOLS}/{name}.py', 'config.py', *(['my model.pth'] if name == 'test' else []),
            '--launcher', 'pytorch' if script.startswith('dist') else 'slurm']


@pytest.mark.parametrize('script', SCRIPTS[:2])
@pytest.mark.parametrize(('variables', 'expected'), [
    ({}, ('1', '0', '127.0.0.1', '29500')),
    ({'NNODES': '3', 'NODE_RANK': '2', 'MASTER_ADDR': 'node7', 'PORT': '4242'},
     ('3', '2', 'node7', '4242'))])
def test_dist_command_line(stubs: Path, script: str, variables: dict[str, str],
                           expected: tuple[str, ...]) -> None:
    done = launch(stubs, script, *positional(script), *EXTRA, PYTHON=str(stubs / 'my python'),
                  **variables)
    nodes, rank, address, port = expected
    assert lines(done) == ['-m', 'mtpsl.system.torchrun', f'--nnodes={nodes}',
                           f'--node_rank={rank}', f'--master_addr={address}',
                           '--nproc_per_node=2', f'--master_port={port}', *tool(script), *EXTRA]


@pytest.mark.parametrize('script', SCRIPTS[2:])
@pytest.mark.parametrize(('variables', 'gpus', 'per_node', 'cpus', 'srun'), [
    ({}, '4', '4', '5', []),
    ({'GPUS': '2'}, '2', '2', '5', []),
    ({'GPUS': '16'}, '16', '4', '5', []),
    ({'GPUS': '16', 'GPUS_PER_NODE': '8', 'CPUS_PER_TASK': '3', 'PYTHON': 'my python',
      'SRUN_ARGS': '--qos=high  --exclude=* -v'}, '16', '8', '3',
     ['--qos=high', '--exclude=*', '-v'])])
def test_slurm_command_line(stubs: Path, script: str, variables: dict[str, str], gpus: str,
                            per_node: str, cpus: str, srun: list[str]) -> None:
    done = launch(stubs, script, *positional(script), *EXTRA, **variables)
    assert lines(done) == ['-p', 'part', '--job-name=my job', f'--gres=gpu:{per_node}',
                           f'--ntasks={gpus}', f'--ntasks-per-node={per_node}',
                           f'--cpus-per-task={cpus}', '--kill-on-bad-exit=1', *srun,
                           variables.get('PYTHON', 'python'), '-u', *tool(script), *EXTRA]


def error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a usage error."""
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize('script', SCRIPTS)
def test_usage(stubs: Path, script: str) -> None:
    python = str(stubs / 'my python')
    assert 'usage: ' in error(launch(stubs, script, PYTHON=python))
    assert 'CONFIG' in error(launch(stubs, script, *positional(script)[:-1], PYTHON=python))
    done = launch(stubs, script, *positional(script, config='no such.py'), PYTHON=python)
    assert error(done) == (f"{script}: CONFIG must be an existing file, or the name of a config "
                           "without .py, got 'no such.py'")


@pytest.mark.parametrize('script', SCRIPTS)
def test_the_name_of_a_config_is_passed_on(stubs: Path, script: str) -> None:
    done = launch(stubs, script, *positional(script, config='ss/nyud_random_r18'),
                  PYTHON=str(stubs / 'my python'))
    assert 'ss/nyud_random_r18' in lines(done)


@pytest.mark.parametrize('gpus', ['0', '-1', 'two', '1.5', '2; ls', ' '])
@pytest.mark.parametrize('script', SCRIPTS)
def test_gpus_is_a_positive_whole_number(stubs: Path, script: str, gpus: str) -> None:
    done = launch(stubs, script, *positional(script, gpus), GPUS=gpus,
                  PYTHON=str(stubs / 'my python'))
    assert error(done) == f"{script}: GPUS must be a positive whole number, got '{gpus}'"


@pytest.mark.parametrize('script', SCRIPTS[2:])
def test_slurm_errors(stubs: Path, script: str) -> None:
    for name in ('GPUS_PER_NODE', 'CPUS_PER_TASK'):
        done = launch(stubs, script, *positional(script), **{name: 'x'})
        assert error(done) == f"{script}: {name} must be a positive whole number, got 'x'"
    done = launch(stubs, script, *positional(script), path='/nowhere')
    assert 'srun is not on the PATH' in error(done)


@pytest.mark.parametrize('script', SCRIPTS[:2])
@pytest.mark.parametrize(('variables', 'message'), [
    ({'NNODES': '2'}, 'with NNODES=2 set NODE_RANK (another on each node) and MASTER_ADDR'),
    ({'NNODES': '2', 'NODE_RANK': '1'}, 'and MASTER_ADDR (the first node)'),
    ({'NNODES': '2', 'NODE_RANK': '2', 'MASTER_ADDR': 'a'}, "NODE_RANK must be 0 to 1, got '2'"),
    ({'NNODES': 'x', 'NODE_RANK': '0', 'MASTER_ADDR': 'a'},
     "NNODES must be a positive whole number, got 'x'"),
    ({'PORT': 'x'}, "PORT must be a positive whole number, got 'x'")])
def test_several_nodes_must_know_each_other(stubs: Path, script: str, variables: dict[str, str],
                                            message: str) -> None:
    """Else each would wait for the others, or all call themselves the first."""
    done = launch(stubs, script, *positional(script), PYTHON=str(stubs / 'my python'), **variables)
    assert message in error(done)


@pytest.mark.parametrize('script', SCRIPTS[2:])
def test_slurm_passes_the_port_on(stubs: Path, script: str) -> None:
    """As the variable that the processes read."""
    (stubs / 'srun').write_text('#!/bin/sh\necho "$MASTER_PORT"\n')
    for variables, port in (({}, '29500'), ({'MASTER_PORT': '4000'}, '4000'),
                            ({'MASTER_PORT': '4000', 'PORT': '4242'}, '4242')):
        assert lines(launch(stubs, script, *positional(script), **variables)) == [port]
    done = launch(stubs, script, *positional(script), PORT='x')
    assert error(done) == f"{script}: PORT must be a positive whole number, got 'x'"
