"""How fast training, inference, data and metrics run: ``benchmark.py train|inference|... ...``.

Each subcommand's ``run(args)`` lies in a module of ``mtpsl.analysis.profiling``, which is imported
once the arguments are read; docs/speed.md has what was measured.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from mtpsl.system.arguments import Parser, at_least
from mtpsl.system.choices import BENCHMARK_LABELS
from mtpsl.system.config_arguments import add_cfg_options, check_json, one_line_errors


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        module: of ``mtpsl.analysis.profiling``, whose ``run`` takes the arguments.
        text: what it measures.
        add_arguments: adds its own arguments to a parser.
    """

    module: str
    text: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """``config`` and how its model is run."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--size', type=at_least(32), nargs=2, metavar=('H', 'W'),
                        help="images in pixels (default: the config's data_preprocessor.size)")
    parser.add_argument('--against', metavar='FILE', help='measure the procedure in this Python '
                        'file in turns with ours, and the ratio')
    parser.add_argument('--device', choices=['cpu', 'cuda'],
                        help='(default: the GPU if there is one)')
    for option, text in (('--amp', 'bfloat16'), ('--compile', 'parts compiled by CompileHook')):
        parser.add_argument(option, action='store_true', help=f'{text} (ours only)')
    add_cfg_options(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    """``train``."""
    add_model_arguments(parser)
    parser.add_argument('--batch', type=at_least(1), metavar='B',
                        help="images of a step (default: the config's)")
    parser.add_argument('--labels', choices=BENCHMARK_LABELS, default='one',
                        help='tasks that a sample is labelled for (default: one)')
    parser.add_argument('--matrix-share', action='store_true',
                        help="also the share of the card's bf16 matrix rate that is reached in "
                        'convolutions and matrix products')


def _add_inference(parser: argparse.ArgumentParser) -> None:
    """``inference``."""
    add_model_arguments(parser)
    parser.add_argument('--batch', type=at_least(1), nargs='+', default=[1, 8], metavar='B',
                        help='images at once, each number by itself (default: 1 8)')


def _add_data(parser: argparse.ArgumentParser) -> None:
    """``data``."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--samples', type=at_least(1), default=50, metavar='N',
                        help='training images of one repeat, the first of the set (default: 50)')
    parser.add_argument('--against', metavar='FILE', help='measure the function training_sample of '
                        'this Python file in turns with ours, and the ratio')
    add_cfg_options(parser)


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    """``metrics``."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--tasks', nargs='+', metavar='TASK',
                        help="of the config's tasks, these (default: all)")
    parser.add_argument('--size', type=at_least(32), nargs=2, metavar=('H', 'W'),
                        default=(512, 512), help='of the random maps (default: 512 512)')
    parser.add_argument('--maps', type=at_least(1), default=4, metavar='N',
                        help="boundary maps of one repeat, made from the first labels of the "
                        "config's test set (default: 4)")
    parser.add_argument('--images', type=at_least(1), metavar='N',
                        help='images to reckon the matching of (default: as many as the set has)')
    parser.add_argument('--against', metavar='FILE', help='measure the function statistics of this '
                        'Python file in turns with ours, and the ratio; for classes and saliency')
    add_cfg_options(parser)


COMMANDS = dict(
    train=Command('training', 'Time of a training step: from a batch on the host to the updated '
                  'weights.', _add_train),
    inference=Command('inference', 'Time of inference: from a batch on the host to the predictions '
                      'of all tasks.', _add_inference),
    data=Command('data', 'Time of making training samples on one core: the labels of the setting, '
                 'all labels, none.', _add_data),
    metrics=Command('metrics', "Time of a metric's statistics of one image, and of matching the "
                    'boundaries of a whole set.', _add_metrics))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser('benchmark.py', description=__doc__.partition(':')[0])
    commands = parser.add_subparsers(dest='command', required=True)
    for name, (_, text, add_arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        add_arguments(command)
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
        import_module(f'mtpsl.analysis.profiling.{COMMANDS[args.command].module}').run(args)


if __name__ == '__main__':
    main()
