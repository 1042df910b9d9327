"""Processes of their own that have the libraries already: forks of one that has loaded them.

A tool that is started by its command line spends most of its seconds on loading PyTorch and the
OpenMMLab packages; a fork spends none.
"""

import gc
import os
import runpy
import socket
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import mmengine.runner.runner
import torch
from yapf.yapflib import yapf_api

LIBRARIES = ['mtpsl.engine.contents', 'mtpsl.models', 'mtpsl.datasets', 'mtpsl.evaluation',
             'mtpsl.engine.visualization', 'mmseg.models', 'matplotlib.pyplot', 'torch._dynamo',
             'yapf.yapflib.yapf_api']


def fork(function: Callable, *arguments: object) -> BaseProcess:
    """Start ``function(*arguments)``, of a module that is no test, in a process of its own."""
    context = get_context('forkserver')
    context.set_forkserver_preload(LIBRARIES)
    process = context.Process(target=_begin, args=(function, arguments))
    process.start()
    return process


def _begin(function: Callable, arguments: tuple) -> None:
    gc.freeze()  # mmengine looks for garbage at each data set, among all that was loaded
    torch.set_num_threads(1)
    leave_layout()
    # It runs compilers for their versions.
    mmengine.runner.runner.collect_env = lambda: OrderedDict(Python=sys.version)
    function(*arguments)


def leave_layout() -> None:
    """Leave the text of configs as mmengine gives it to yapf, which takes half a second of a run.

    What the layout is, ``test_config_text`` tests.
    """
    def as_it_is(text: str, **style: object) -> tuple[str, bool]:
        return text, True

    as_it_is.instead_of = yapf_api.FormatCode
    yapf_api.FormatCode = as_it_is


def free_port() -> str:
    """A port of this machine that nothing listens on."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


def run_forked(command: Sequence[object], cwd: Path, environment: dict[str, str], output: Path,
               seconds: float = 600) -> subprocess.CompletedProcess:
    """``python SCRIPT ARGUMENT ...`` as :func:`subprocess.run` would, all it says in ``stdout``.

    Args:
        command: the interpreter, which is not used, the script and its arguments.
        cwd: where it is to run.
        environment: all of its variables.
        output: a file for what it says.
        seconds: after which it is killed.
    """
    process = fork(_run_script, list(map(str, command[1:])), cwd, environment, output)
    process.join(seconds)
    try:
        assert process.exitcode is not None, f'{command} goes on after {seconds} s'
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.exitcode, output.read_text())


def _run_script(command: Sequence[str], cwd: Path, environment: dict[str, str],
                output: Path) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    with open(output, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = list(command)
    paths = [path for path in environment.get('PYTHONPATH', '').split(os.pathsep) if path]
    sys.path[:0] = [str(Path(command[0]).parent), *paths]
    runpy.run_path(command[0], run_name='__main__')
