"""What the command lines share: their common arguments, and errors as one clear line."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path

from mmengine.config import DictAction


class OptionAction(DictAction):
    """mmengine's ``KEY=VALUE`` pairs, with an error that shows the one that is no pair."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: list[str], option_string: str | None = None) -> None:
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string} takes KEY=VALUE pairs, got {value!r}')
        super().__call__(parser, namespace, values, option_string)


def config_parser(description: str) -> argparse.ArgumentParser:
    """A parser with ``config`` and ``--cfg-options``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file, or the name of one that ships (mtpsl list)')
    add_cfg_options(parser)
    return parser


def add_cfg_options(parser: argparse.ArgumentParser, of: str = 'the config') -> None:
    """``--cfg-options``, overrides of one config or of several."""
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='KEY=VALUE',
                        help=f'override parts of {of}, e.g. model.initial_loss_weight=1.0')


def add_model(parser: argparse.ArgumentParser) -> None:
    """``model``, ``--weights``, ``--device`` and ``--cfg-options``, for those who predict."""
    parser.add_argument('model', nargs='?', default='synthetic', help='config file, its name such '
                        'as diffusionmtl/pascal_random_r18, or a name of model-index.yml (default: '
                        'synthetic, a small model of rendered scenes, whose weights ship)')
    parser.add_argument('--weights', help="checkpoint file or address (default: the model index's)")
    parser.add_argument('--device', help='such as cuda:1 or cpu (default: the GPU if there is one)')
    add_cfg_options(parser)


def runner_parser(description: str) -> argparse.ArgumentParser:
    """The same, with what running needs: ``--work-dir`` and ``--launcher``."""
    parser = config_parser(description)
    parser.add_argument('--work-dir', help='folder for logs and results '
                        '(default: work_dirs/<folder of the config>/<its name>)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)  # older launchers pass it
    return parser


def check_json(parser: argparse.ArgumentParser, path: str | Path | None) -> None:
    """End with an error where ``--json`` cannot be written, before the work rather than after."""
    if path and not Path(path).absolute().parent.is_dir():
        parser.error(f'--json: there is no folder {Path(path).parent}')
    if path and Path(path).is_dir():
        parser.error(f'--json must be a file, got the folder {path}')


# What ends a worker, with the usual reason and the remedy.
_SIGNALS = {
    'Killed': 'SIGKILL, usually by the kernel or the batch system for lack of memory: lower '
              'num_workers, prefetch_factor or batch_size of the data loader, or allow the job '
              'more memory (dmesg tells)',
    'Bus error': 'SIGBUS, usually since shared memory is full: enlarge /dev/shm (docker run '
                 '--shm-size=8g), or lower num_workers or prefetch_factor of the data loader',
    'Segmentation fault': 'SIGSEGV, a crash in a compiled library, perhaps on a damaged file: '
                          'tools/analysis_tools/check_dataset.py CONFIG --sample all looks for it',
    'Terminated': 'SIGTERM, by somebody or the batch system'}


@contextmanager
def one_line_errors(tool: str) -> Iterator[None]:
    """Turn what a user can mend into ``tool: error: cause`` on the last line, exit status 1.

    Python's traceback comes before it where the environment variable MTPSL_TRACEBACK is set.
    """
    try:
        yield
    # mmengine checks its arguments with assertions.
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, ImportError,
            AssertionError) as error:
        if os.environ.get('MTPSL_TRACEBACK'):
            raise
        text = _explain(error)
        print(f'{tool}: error: {text}  [{type(error).__name__}; MTPSL_TRACEBACK=1 shows where]',
              file=sys.stderr)
        raise SystemExit(1) from error


def _explain(error: Exception) -> str:
    """The cause on one line, also of what happened in a worker process of a data loader."""
    # A KeyError's text is its key's repr; a message of ours must not wear quotes.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text.startswith('DataLoader worker (pid'):
        _end_workers()
        return _worker_death(error)
    if re.match(r'Caught \w+ in DataLoader worker process', text):
        # The worker's traceback as text; after its last frame comes 'Type: message'.
        text = re.split(r'\n(?=\S)', text.rpartition('\n  File "')[2], maxsplit=1)[-1]
        text = re.sub(r'^[\w.]+: ', '', text)
    return ' '.join(text.split()) or type(error).__name__


def _end_workers() -> None:
    """End the other workers: left alone in an exchange they would print tracebacks at the end."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's raises at their deaths
    workers = [process for process in active_children() if process.daemon]
    for process in workers:
        process.kill()
    for process in workers:
        process.join()
    signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _worker_death(error: BaseException) -> str:
    """Which signal it was: torch says so in the error or in the one that it was raised from."""
    texts = [str(error)]
    while cause := error.__cause__ or error.__context__:
        error = cause
        texts.append(str(error))
    told = '\n'.join(texts)
    number = re.search(r'pid[^0-9]*([0-9]+)', told)
    process = f'the data loading process {number[1] if number else "?"}'
    status = re.search(r'with exit code (\d+)', told)
    if status:
        return (f'{process} ended with exit status {status[1]}: num_workers=0 of the data loader '
                'may show why')
    found = re.search(r'is killed by signal: (.+?)\. ', told)
    if not found:
        return (f'{process} died, and it is not known of what: dmesg tells whether memory ran out; '
                'num_workers=0 of the data loader shows an error in it')
    reason = next((reason for name, reason in _SIGNALS.items() if found[1].startswith(name)),
                  f'signal {found[1]}')
    return f'{process} was killed: {reason}'
