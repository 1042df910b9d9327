"""How fast training, inference, data and metrics run: ``benchmark.py train|inference|... ...``.

Each subcommand lies in a module of ``mtpsl.profiling`` with ``add_arguments(parser)`` and
``run(args)``; docs/speed.md has what was measured.
"""

import argparse
from pathlib import Path

from mtpsl.engine.command import check_json, one_line_errors
from mtpsl.profiling import data, inference, metrics, training
from mtpsl.storage.command import at_least

# A subcommand's module: its docstring's first line is its help.
COMMANDS = dict(train=training, inference=inference, data=data, metrics=metrics)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser('benchmark.py', description=__doc__.partition(':')[0])
    commands = parser.add_subparsers(dest='command', required=True)
    for name, module in COMMANDS.items():
        text = module.__doc__.partition('\n')[0]
        command = commands.add_parser(name, help=text, description=text)
        module.add_arguments(command)
        command.add_argument('--repeats', type=at_least(1), default=20, metavar='N',
                             help='timed calls (default: 20)')
        command.add_argument('--warm-up', type=at_least(0), default=3, metavar='N',
                             help='calls before them (default: 3)')
        command.add_argument('--json', type=Path, metavar='FILE',
                             help='also write all times to this file')
    args = parser.parse_args(argv)
    check_json(parser, args.json)
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('benchmark.py'):
        COMMANDS[args.command].run(args)


if __name__ == '__main__':
    main()
