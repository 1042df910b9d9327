"""Shared arguments of the command lines with a config, and errors as one line."""

import argparse
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any, NoReturn

from .arguments import Parser, at_least
from .option_value import read_value

TURN = 3  # seconds that other ranks wait for rank 0 to report a common error
# What Python shows of an object without a representation of its own, and of a function.
ADDRESS = re.compile(r'<(?:function )?(?:[\w<>]+\.)*(\w+)(?: object)? at 0x[0-9a-f]+>')
LOST = re.compile('Connection (closed|reset) by peer|Broken pipe|ncclRemoteError')


class OptionAction(argparse.Action):
    """Collects ``KEY=VALUE`` pairs of all uses in a dict; see :func:`read_value`."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: str | Sequence[Any] | None, option_string: str | None = None) -> None:
        options = dict(getattr(namespace, self.dest) or {})
        for pair in values or ():
            key, equals, text = pair.partition('=')
            if not equals or not all(key.split('.')):
                parser.error(f'{option_string} takes KEY=VALUE pairs, got {pair!r}')
            for other in options:  # it would be lost without a word
                if other == key or other.startswith(f'{key}.'):
                    parser.error(f'{option_string}: {key} is given ' + (
                        'twice; give it once' if other == key else
                        f'after {other}, which it would replace; give it before'))
            try:
                options[key] = read_value(text)
            except ValueError as error:
                parser.error(f'{option_string} {key}: {error}')
        setattr(namespace, self.dest, options)


class TurnParser(Parser):
    """A parser that reports an error of the command line on one of several processes."""

    def error(self, message: str) -> NoReturn:
        _await_turn(message)
        super().error(message)


def config_parser(description: str) -> argparse.ArgumentParser:
    """Make a parser with ``config`` and ``--cfg-options``."""
    parser = TurnParser(description=description)
    parser.add_argument('config', help='config file, or the name of one that ships (mtpsl list)')
    add_cfg_options(parser)
    return parser


def add_cfg_options(parser: argparse.ArgumentParser, of: str = 'the config') -> None:
    """Add ``--cfg-options``, overrides of one or several configs."""
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='KEY=VALUE',
                        help=f'override parts of {of}, e.g. model.initial_loss_weight=1.0')


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add ``model``, ``--weights``, ``--device``, ``--amp``, ``--cfg-options``: of who predicts."""
    parser.add_argument('model', nargs='?', default='synthetic', help='config file, its name such '
                        'as diffusionmtl/pascal_random_r18, or a name of model-index.yml (default: '
                        'synthetic, a small model of rendered scenes, whose weights ship)')
    parser.add_argument('--weights', help="checkpoint file or address (default: the model index's)")
    parser.add_argument('--device', help='such as cuda:1 or cpu (default: the GPU if there is one)')
    parser.add_argument('--amp', action='store_true', help='predict in bfloat16')
    add_cfg_options(parser)


def add_max_side(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-side`` to a tool that predicts."""
    parser.add_argument('--max-side', type=_side, default='auto', metavar='PIXELS',
                        help='shrink images with a longer side, and enlarge their maps again; none '
                        'shrinks none (default: twice the size of the training, at least 512; none '
                        'with --window)')


def _side(text: str) -> int | str | None:
    return {'none': None, 'auto': 'auto'}[text] if text in ('none', 'auto') else at_least(1)(text)


def runner_parser(description: str) -> argparse.ArgumentParser:
    """Make a :func:`config_parser` with ``--work-dir`` and ``--launcher``."""
    parser = config_parser(description)
    parser.add_argument('--work-dir', help='folder for logs and results '
                        '(default: work_dirs/<folder of the config>/<its name>)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)  # older launchers pass it
    return parser


def check_json(parser: argparse.ArgumentParser, path: str | Path | None) -> None:
    """End with an error, before any work, if ``--json`` cannot be written."""
    if path and not Path(path).absolute().parent.is_dir():
        parser.error(f'--json: there is no folder {Path(path).parent}')
    if path and Path(path).is_dir():
        parser.error(f'--json must be a file, got the folder {path}')


# Signals that end a worker, with the usual cause and the remedy.
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
    """Turn an error into ``tool: error: cause`` on the last line, exit status 1.

    Only one of several processes reports: rank 0, or the one concerned. If the environment
    variable MTPSL_TRACEBACK is set, Python's traceback comes first. Ctrl-C gives a line too, with
    status 130.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        print(f'{tool}: interrupted', file=sys.stderr)
        raise SystemExit(130) from error
    except Exception as error:  # a config, a file or a library can raise anything
        if os.environ.get('MTPSL_TRACEBACK'):
            raise
        text = _await_turn(_explain(error))
        print(f'{tool}: error: {text}  [{_kind(error)}; MTPSL_TRACEBACK=1 shows where]',
              file=sys.stderr, flush=True)
        raise SystemExit(1) from error


def _await_turn(text: str) -> str:
    """Return the text after this process's turn has come: a launcher ends all with the first."""
    rank = os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or '0'
    if LOST.search(text):
        time.sleep(TURN)  # the process that ended has reported why
        text = f'rank {rank} lost another process of the run, whose own line says why: {text}'
    elif rank != '0':
        time.sleep(TURN)
        text = f'rank {rank}: {text}'
    return text


def _explain(error: Exception) -> str:
    """Return the cause of an error on one line, also of one in a data loader's worker."""
    # The text of a KeyError is the repr of its key; our messages must have no quotes.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text.startswith('DataLoader worker (pid'):
        _end_workers()
        return _worker_death(error)
    if re.match(r'Caught \w+ in DataLoader worker process', text):
        # The worker's traceback as text, which ends with 'Type: message'.
        text = re.split(r'\n(?=\S)', text.rpartition('\n  File "')[2], maxsplit=1)[-1]
        text = re.sub(r'^[\w.]+: ', '', text)
    text = ADDRESS.sub(r'\1', ' '.join(text.split()))
    if text.startswith('Expected more than 1 value per channel when training'):
        return (f'a batch of one image, whose deepest map is one pixel, has no batch statistics: '
                f'train_dataloader.drop_last=True, another batch_size, or larger images ({text})')
    if isinstance(error, KeyError) and not re.search(r'\S \S', text):
        return f'there is no {error.args[0]!r}' if error.args else 'an entry is missing'
    return text or _NAMELESS.get(type(error), type(error).__name__)


_NAMELESS: dict[type[Exception], str] = {
    AssertionError: 'a condition of the code does not hold', MemoryError: 'out of memory'}


def _kind(error: Exception) -> str:
    """Return the type of an error and, where its text may say little, its file and line."""
    name, frames = type(error).__name__, traceback.extract_tb(error.__traceback__)
    said = (ValueError, OSError, RuntimeError, ImportError)
    if isinstance(error, said) and str(error).strip() and not isinstance(error, RecursionError):
        return name
    # Raised with a message, not by an operation that failed.
    if not frames or isinstance(error, KeyError) and ' ' in str(error) or (
            isinstance(error, TypeError) and (frames[-1].line or '').startswith('raise TypeError')):
        return name
    path = Path(frames[-1].filename)
    return f'{name} in {frames[-1].name}, {"/".join(path.parts[-3:])}:{frames[-1].lineno}'


def _end_workers() -> None:
    """End the other workers, which would print tracebacks if left alone."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler raises when they end
    workers = [process for process in active_children() if process.daemon]
    for process in workers:
        process.kill()
    for process in workers:
        process.join()
    signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _worker_death(error: BaseException) -> str:
    """Find the signal that ended a worker in torch's error or its cause."""
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
