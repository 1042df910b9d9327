"""Check a PASCAL-Context multi-task folder."""

import argparse
from pathlib import Path

from mtpsl.system.arguments import Parser, add_check

PROG = 'pascal_context.py'
CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/pascal.py'


def check(args: argparse.Namespace) -> None:
    """Run ``check``."""
    from mtpsl.engine.check_commands import run_check  # here: --help needs no PyTorch

    run_check(PROG, str(CONFIG), args.root, args.sample)


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 where something is not as it should be."""
    parser = Parser(PROG, description=__doc__)
    add_check(parser.add_subparsers(required=True), check)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__':
    main()
