"""Check a PASCAL-Context multi-task folder: ``pascal_context.py check ROOT``."""

import argparse
from pathlib import Path

from mtpsl.engine.check import add_check_parser, run_check

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/pascal.py'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split(':')[0])
    add_check_parser(parser.add_subparsers(dest='command', required=True))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 where something is not as it should be."""
    args = parse_args(argv)
    run_check('pascal_context.py', str(CONFIG), args.root, args.sample)


if __name__ == '__main__':
    main()
