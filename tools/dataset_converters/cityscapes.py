"""Convert Cityscapes, as its authors publish it, into the Cityscapes layout, or check one."""

import argparse
from pathlib import Path

from mtpsl.system.arguments import add_common_arguments, run_tool

PROG = 'cityscapes.py'
CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/cityscapes.py'
DEPTH_HELP = """\
The depth that is written is inverse depth, 256 d / 65535 of the official disparity d in pixels:
the unit of the preprocessed archive in circulation, in which published results measure absErr.

An interrupted conversion is taken up by the same command. Nothing is ever overwritten.
"""


def add_convert(commands: argparse._SubParsersAction) -> None:
    """The subcommand ``convert``."""
    parser = commands.add_parser(
        'convert', help='make the dataset from the published files', epilog=DEPTH_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path,
                        help='folder with leftImg8bit/, gtFine/ and disparity/, unpacked')
    parser.add_argument('root', type=Path, help='the folder to make, such as data/Cityscapes')
    add_common_arguments(parser, (128, 256))
    parser.add_argument('--void-rare', action='store_true',
                        help='leave eight rare official ids (9, 10, 14, 15, 16, 18, 29, 30) '
                             "unknown, as the later loader of MTAN's author does")
    parser.set_defaults(run=convert)


def convert(args: argparse.Namespace) -> None:
    """Run ``convert``."""
    from mtpsl.data_prep.conversion import convert_cityscapes  # here: --help needs none of it

    convert_cityscapes(args.source, args.root, args.workers, tuple(args.size),
                       args.void_rare)


def check(args: argparse.Namespace) -> None:
    """Run ``check``."""
    # Imported here: it loads torch, and the workers of ``convert`` load this file.
    from mtpsl.engine.checks.check_commands import run_check
    run_check(PROG, str(CONFIG), args.root, args.sample)


def main(argv: list[str] | None = None) -> None:
    """Entry point; each subcommand sets ``run``, a function of the arguments."""
    run_tool(PROG, __doc__, add_convert, check, argv)


if __name__ == '__main__':
    main()
