"""What the command lines share: their common arguments, and errors as one clear line."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
    parser.add_argument('config', help='config file')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='KEY=VALUE',
                        help='override parts of the config, e.g. model.initial_loss_weight=1.0')
    return parser


def runner_parser(description: str) -> argparse.ArgumentParser:
    """The same, with what running needs: ``--work-dir`` and ``--launcher``."""
    parser = config_parser(description)
    parser.add_argument('--work-dir', help='folder for logs and results '
                        '(default: work_dirs/<folder of the config>/<its name>)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)  # older launchers pass it
    return parser


@contextmanager
def one_line_errors(tool: str) -> Iterator[None]:
    """Turn what a user can mend into ``tool: error: cause`` on the last line, exit status 1.

    Python's traceback comes before it where the environment variable MTPSL_TRACEBACK is set.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, ImportError) as error:
        if os.environ.get('MTPSL_TRACEBACK'):
            raise
        # A KeyError's text is its key's repr; a message of ours must not wear quotes.
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f'{tool}: error: {str(text).strip() or type(error).__name__}  '
              f'[{type(error).__name__}; MTPSL_TRACEBACK=1 shows where]', file=sys.stderr)
        raise SystemExit(1) from error
