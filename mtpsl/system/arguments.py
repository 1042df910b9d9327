"""Shared parts of command lines: argument types, named paths, tools of datasets."""

import argparse
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from .files import user_path


class Parser(argparse.ArgumentParser):
    """Takes ``~/`` and ``$NAME`` in paths as a shell does, also where the shell has not.

    Shells leave them as they are in ``--work-dir=~/runs`` and in single quotes, and a folder ``~``
    or ``$NAME`` would be made.
    """

    def parse_known_args(self, *given: Any, **options: Any) -> Any:
        """The arguments, and those that are not known."""
        if told := other_package(sys.argv[0]):
            self.error(told)
        namespace, left = super().parse_known_args(*given, **options)
        try:
            for name, value in vars(namespace).items():
                setattr(namespace, name, [_path(one) for one in value]
                        if isinstance(value, list) else _path(value))
        except ValueError as error:
            self.error(str(error))
        return namespace, left


def other_package(script: str) -> str:
    """Say that a script of one checkout runs the package of another, or an installed copy.

    An editable install of another checkout is found before the checkout of the script, and so is a
    copy that was installed before its files were edited. '' where the code is the same.
    """
    path, ours = Path(script).resolve(), Path(__file__).resolve().parents[1]
    for folder in list(path.parents)[1:3]:
        rooms = path.relative_to(folder).parts[0]
        if rooms in ('tools', 'demo') and (folder / ours.name / '__init__.py').is_file():
            if (folder / ours.name).samefile(ours) or _code(folder / ours.name) == _code(ours):
                break
            return (f'{script} is of {folder}, and Python finds {ours.name} in {ours.parent}, '
                    f'which is other code: pip install -e {folder}, or PYTHONPATH={folder}, takes '
                    'that of the folder')
    return ''


def _code(package: Path) -> dict[Path, bytes]:
    """The Python files of a package; configs and tools that a wheel carries do not count."""
    names = (path.relative_to(package) for path in package.rglob('*.py'))
    return {name: (package / name).read_bytes() for name in names if '.mim' not in name.parts}


def _path(value: Any) -> Any:
    """What the user means by a value that is a path with ``~/`` or ``$``; any other as it is."""
    text = str(value) if isinstance(value, (str, Path)) else ''
    named = text.startswith(('~/', '$')) or '/$' in text
    return type(value)(user_path(text)) if named else value


def at_least(least: int) -> Callable[[str], int]:
    """An argparse type: an integer not below ``least``."""
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'expected an integer, got {text!r}') from None
        if value < least:
            raise argparse.ArgumentTypeError(f'must be at least {least}, got {value}')
        return value
    return parse


def add_force(parser: argparse.ArgumentParser, what: str) -> None:
    """``--force``, without which a tool replaces no file, see :func:`told_to_keep`."""
    parser.add_argument('--force', action='store_true', help=f'overwrite {what}')


def told_to_keep(what: str, paths: Iterable[str | Path], force: bool) -> str:
    """The error of a tool whose output would replace a file; '' where it would not or may."""
    there = next((path for path in paths if os.path.lexists(path)), None)
    return '' if there is None or force else f'{what}{there} exists; give --force to overwrite it'


def split_name(text: str) -> tuple[str, str]:
    """Split ``NAME=PATH`` or ``PATH`` into (name or '', path); an existing path may have a ``=``.

    Raises:
        ValueError: no name before the ``=``.
    """
    if Path(text).exists() or '=' not in text:
        return '', text
    name, _, path = text.partition('=')
    if not name.strip():
        raise ValueError(f'expected NAME=PATH, got {text!r}')
    return name.strip(), path


def split_paths(text: str) -> list[str]:
    """Split ``PATH,PATH``; an existing path may have a comma.

    Raises:
        ValueError: a path is empty.
    """
    paths = [text] if text and Path(text).exists() else text.split(',')
    if '' in paths:
        raise ValueError(f'a path is empty in {text!r}')
    return paths


def sample_size(text: str) -> int | None:
    """An argparse type: how many images to open, at least 1, or None for 'all'."""
    if text == 'all':
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, or 'all', got {text!r}")
    return int(text)


def add_check(commands: argparse._SubParsersAction,
              check: Callable[[argparse.Namespace], None]) -> None:
    """Add the subcommand ``check ROOT``, which calls ``check`` with its arguments."""
    parser = commands.add_parser(
        'check', help='verify the dataset on disk: files, counts, sizes, values, label mappings')
    parser.add_argument('root', help='the folder of the dataset')
    parser.add_argument('--sample', type=sample_size, default=20, metavar='N',
                        help="images of each split to open, or 'all' (default: 20)")
    parser.set_defaults(run=check)


def run_tool(program: str, description: str,
             add_convert: Callable[[argparse._SubParsersAction], None],
             check: Callable[[argparse.Namespace], None], argv: list[str] | None) -> None:
    """Run a converter's command line: ``convert``, which ``add_convert`` adds, and ``check``.

    Exits with status 1 and one line after an error, 130 after Ctrl-C.
    """
    parser = Parser(program, description=description)
    commands = parser.add_subparsers(required=True)
    add_convert(commands)
    add_check(commands, check)
    args = parser.parse_args(argv)
    exit_with_one_line(program, lambda: args.run(args))


def add_common_arguments(parser: argparse.ArgumentParser, size: tuple[int, int]) -> None:
    """Add ``--workers`` and ``--size`` (height and width, by default ``size``)."""
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(), metavar='N',
                        help='processes (default: one per core)')
    parser.add_argument('--size', type=at_least(1), nargs=2, default=list(size),
                        metavar=('HEIGHT', 'WIDTH'),
                        help=f'of the files written (default: {size[0]} {size[1]})')


def end_without_reader(error: Exception) -> None:
    """Exit, with a shell's status, where an error is that nobody reads standard output any more."""
    if not isinstance(error, BrokenPipeError) or sys.stdout is None:
        return
    readers = select.poll()
    try:
        readers.register(sys.stdout, 0)
    except OSError:  # no file, as in a notebook
        return
    if readers.poll(0):  # and not one of the program's own pipes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        raise SystemExit(128 + signal.SIGPIPE) from None


def exit_with_one_line(program: str, action: Callable[[], object]) -> None:
    """Call ``action``; end the program with one line after an error or an interruption.

    The exit status is 1 after an error, 130 after Ctrl-C. If the environment variable
    MTPSL_TRACEBACK is set, Python's traceback is printed instead.
    """
    again = 'the same command goes on where it stopped'
    try:
        action()
        print(end='', flush=True)
        return
    except KeyboardInterrupt:
        status, text = 130, f'interrupted; {again}'
    except BrokenProcessPool:
        status, text = 1, ('error: a worker process died, perhaps for lack of memory (fewer '
                           f'--workers need less); {again}')
    except Exception as error:  # a file or a library can raise anything
        end_without_reader(error)
        if os.environ.get('MTPSL_TRACEBACK'):
            raise
        # Messages of libraries have line breaks.
        status, text = 1, f'error: {" ".join(str(error).split())}'
        if not isinstance(error, (ValueError, OSError)) or not str(error):
            text += f'  [{type(error).__name__}; MTPSL_TRACEBACK=1 shows where]'
    # Start below the live progress line.
    gap = '\n' if sys.stdout.isatty() else ''
    print(f'{gap}{program}: {text}', file=sys.stderr)
    raise SystemExit(status)
