"""Convert NYU Depth v2, as its authors publish it, into the NYUD layout, or check one."""

import argparse
from pathlib import Path

from mtpsl.system.arguments import add_common_arguments, run_tool

PROG = 'nyud.py'
CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/nyud.py'
CLASSES_HELP = """\
The 894 raw labels become 13 classes by their names, through the 40 classes of Gupta et al. 2013.
Name by name that is what the published tables say (classMapping40, then class13Mapping).
ROOT/classes.csv, which is always written, says what each label became; edited and given back as
--class-table, for another folder, it replaces that wholly or in part.

An interrupted conversion is taken up by the same command. Nothing is ever overwritten.
"""


def add_convert(commands: argparse._SubParsersAction) -> None:
    """The subcommand ``convert``."""
    parser = commands.add_parser(
        'convert', help='make the dataset from the published files', epilog=CLASSES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mat', type=Path, help='nyu_depth_v2_labeled.mat')
    parser.add_argument('splits', type=Path, help='splits.mat')
    parser.add_argument('root', type=Path, help='the folder to make, such as data/NYUD')
    add_common_arguments(parser, (288, 384))
    parser.add_argument('--depth', choices=('depths', 'rawDepths'), default='depths',
                        help='in-painted, or as measured, with holes (default: depths)')
    parser.add_argument('--class-table', type=Path, metavar='FILE.csv',
                        help='two columns name,class, the class one of the 13 or unknown, for '
                             'the raw labels that it names')
    parser.set_defaults(run=convert)


def convert(args: argparse.Namespace) -> None:
    """Run ``convert``."""
    from mtpsl.data_prep.conversion import convert_nyud  # here: --help needs none of it

    convert_nyud(args.mat, args.splits, args.root, args.workers, tuple(args.size), args.depth,
                 args.class_table)


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
