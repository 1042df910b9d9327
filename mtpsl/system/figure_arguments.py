"""Shared arguments of the command lines of figures."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from .arguments import Parser, at_least
from .choices import COLUMN, FIGURE_SUFFIXES, PAGE

Run = TypeVar('Run')


def check_figure_path(path: str | Path) -> Path:
    """Return ``path`` if a figure can be written there.

    Raises:
        ValueError: another suffix than those of ``FIGURE_SUFFIXES``, a folder, or a file that is
            no figure of matplotlib, such as a photo: figures replace figures only.
    """
    path = Path(path)
    if path.suffix not in FIGURE_SUFFIXES or path.is_dir():
        raise ValueError(f'must be a {", ".join(FIGURE_SUFFIXES)} file, got {path}')
    if path.is_file() and b'atplotlib' not in path.read_bytes():
        raise ValueError(f'{path} is there and is no figure of this package: it is not replaced')
    return path


def figure_path(text: str) -> Path:
    """An argparse type: a path to which a figure can be written."""
    try:
        return check_figure_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def figure_parser(description: str) -> argparse.ArgumentParser:
    """Make a parser with ``--out``."""
    parser = Parser(description=description)
    parser.add_argument('--out', required=True, type=figure_path, metavar='FILE',
                        help=f'the figure, a {", ".join(FIGURE_SUFFIXES)} file')
    return parser


def picture_parser(description: str) -> argparse.ArgumentParser:
    """Make a :func:`figure_parser` with the arguments of pictures of images."""
    parser = figure_parser(description)
    parser.add_argument('--images', nargs='+', metavar='ID',
                        help="ids of images of the config's test data")
    parser.add_argument('--num', type=at_least(1), default=2, metavar='N',
                        help='without --images: so many, spread evenly (default: 2)')
    parser.add_argument('--tasks', nargs='+', metavar='TASK', help='the rows (default: all)')
    parser.add_argument('--width', type=inches, default=PAGE,
                        help=f'of the figure in inches (default: {PAGE}, a page of two columns; '
                        f'a column is {COLUMN})')
    parser.add_argument('--number-classes', action='store_true',
                        help='number the classes in legend and pictures, for print without colour')
    parser.add_argument('--device', help='such as cuda:1 or cpu (default: the GPU if there is one)')
    return parser


def by_name(named: Sequence[tuple[str, Run]], form: str) -> dict[str, Run]:
    """Return runs by name.

    Args:
        named: names and runs.
        form: of an argument that gives a run another name.

    Raises:
        ValueError: two runs of one name.
    """
    runs = dict(named)
    if len(runs) < len(named):
        raise ValueError(f'two runs of the same name among {[name for name, _ in named]}; '
                         f'{form} gives one another name')
    return runs


def inches(text: str) -> float:
    """An argparse type: the width of a figure, 1 to 100 inches."""
    try:
        width = float(text)
    except ValueError:
        width = 0
    if not 1 <= width <= 100:
        raise argparse.ArgumentTypeError(f'must be 1 to 100 inches, got {text!r}')
    return width


def choose_named(tasks: Mapping[str, Run], names: Sequence[str] | None) -> dict[str, Run]:
    """Return the named ones in the given order; all if none are named.

    Raises:
        ValueError: a name that does not exist.
    """
    unknown = [name for name in names or () if name not in tasks]
    if unknown:
        raise ValueError(f'--tasks: there is no task {", ".join(unknown)}, there are '
                         f'{", ".join(tasks)}')
    return {name: tasks[name] for name in names or tasks}
