"""Check a PASCAL-Context multi-task folder."""

import argparse
from pathlib import Path

from mtpsl.system.arguments import Parser, add_check
from mtpsl.system.config_arguments import one_line_errors

PROG = 'pascal_context.py'
CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/pascal.py'


def check(args: argparse.Namespace) -> None:
    """Run ``check``."""
    with one_line_errors(PROG):  # here: --help needs no PyTorch
        from mtpsl.engine.checks.check_commands import run_check

        run_check(PROG, str(CONFIG), args.root, args.sample)


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 where something is not as it should be."""
    parser = Parser(PROG, description=__doc__)
    add_check(parser.add_subparsers(required=True), check)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__':
    main()
