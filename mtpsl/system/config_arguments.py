"""Shared arguments of the command lines with a config, and errors as one line."""

import argparse
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .arguments import Parser, at_least, end_without_reader
from .error_words import ended_by, explain, kind_of
from .option_value import read_value

TURN = 3  # seconds that other ranks wait for rank 0 to report a common error
LEFT_BEHIND = re.compile(r'is gone, so rank \d+ stops')  # see engine.ranks
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


@contextmanager
def one_line_errors(tool: str) -> Iterator[None]:
    """Turn an error into ``tool: error: cause`` on the last line, exit status 1.

    Only one of several processes reports: rank 0, or the one concerned. If the environment
    variable MTPSL_TRACEBACK is set, Python's traceback comes first. Ctrl-C gives a line too, with
    status 130. Where nobody reads the output any more, as after ``| head``, it ends in silence.
    """
    try:
        yield
        print(end='', flush=True)
    except KeyboardInterrupt as error:
        if os.environ.get('RANK', '0') == '0':
            print(f'{tool}: interrupted', file=sys.stderr)
        raise SystemExit(130) from error
    except SystemExit as error:
        if place := ended_by(error):  # else it is an end with a word of its own
            if os.environ.get('MTPSL_TRACEBACK'):
                traceback.print_exception(error)
            given = '' if error.code is None else repr(error.code)
            told = _await_turn(f'{place} called exit({given}) before all was done')
            print(f'{tool}: error: {told}', file=sys.stderr, flush=True)
            raise SystemExit(error.code if isinstance(error.code, int) and error.code else 1
                             ) from error
        raise
    except Exception as error:  # a config, a file or a library can raise anything
        end_without_reader(error)
        if os.environ.get('MTPSL_TRACEBACK'):
            raise
        text = _await_turn(explain(error))
        print(f'{tool}: error: {text}  [{kind_of(error)}; MTPSL_TRACEBACK=1 shows where]',
              file=sys.stderr, flush=True)
        raise SystemExit(1) from error


def _await_turn(text: str) -> str:
    """Return the text after this process's turn has come: a launcher ends all with the first."""
    rank = os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or '0'
    if LOST.search(text):
        time.sleep(TURN)  # the process that ended has reported why
        text = f'rank {rank} lost another process of the run, whose own line says why: {text}'
    elif LEFT_BEHIND.search(text):  # torchrun ends this process before it repeats what was said
        time.sleep(TURN)
    elif rank != '0':
        time.sleep(TURN)
        text = f'rank {rank}: {text}'
    return text
