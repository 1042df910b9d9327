"""Parameters and multiply-adds of a config's model: ``get_flops.py CONFIG``."""

import argparse
import json
from pathlib import Path

from prettytable import PrettyTable

from mtpsl.system.arguments import at_least
from mtpsl.system.choices import BENCHMARK_LABELS
from mtpsl.system.config_arguments import check_json, config_parser, one_line_errors
from mtpsl.system.files import write_keeping


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = config_parser('Count parameters and multiply-adds')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'),
                        help="input size in pixels (default: the config's)")
    parser.add_argument('--depth', type=int, default=2,
                        help='levels of parts to break down to (default: 2)')
    parser.add_argument('--tasks', nargs='+', metavar='TASK',
                        help='only what predicting these tasks costs (default: all)')
    parser.add_argument('--train-memory', type=at_least(1), metavar='BATCH',
                        help='also what a training step of so many images holds in memory')
    parser.add_argument('--labels', choices=BENCHMARK_LABELS, default='one',
                        help='tasks that an image of it is labelled for (default: one)')
    parser.add_argument('--json', help='also write the numbers to this file')
    args = parser.parse_args(argv)
    if args.shape and min(args.shape) < 32:
        parser.error(f'--shape must be at least 32 32, got {args.shape[0]} {args.shape[1]}')
    if args.depth < 1:
        parser.error(f'--depth must be at least 1, got {args.depth}')
    check_json(parser, args.json)
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('get_flops.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.complexity import complexity
        from mtpsl.analysis.training_memory import training_memory
        from mtpsl.engine import load_config
        from mtpsl.registry import MODELS

        cfg = load_config(args.config, args.cfg_options)
        if 'model' not in cfg:
            raise ValueError(f'{args.config} has no model')
        model = MODELS.build(cfg.model)
        height, width = args.shape or model.data_preprocessor.size
        if args.tasks:
            model.check_tasks(args.tasks)
        memory = args.train_memory and training_memory(
            MODELS.build(cfg.model), args.train_memory, (height, width), args.labels)
        counts = complexity(model, (height, width), args.depth, args.tasks)
        if args.json:
            write_keeping(Path(args.json), json.dumps(counts, indent=2) + '\n')
    table = PrettyTable(['part', 'params (M)', 'multiply-adds (G)'], align='r')
    table.align['part'] = 'l'
    for part, count in counts.items():
        indent = '  ' * part.count('.') + part.rpartition('.')[2]
        table.add_row([indent or 'model', f'{count["params"] / 1e6:.2f}',
                       f'{count["macs"] / 1e9:.2f}'])
    print(table)
    print(f'input: 1 x 3 x {height} x {width}; attention is counted'
          + (f'; of {", ".join(args.tasks)}' if args.tasks else '')
          + (f'; of {model.num_samples} draws of noise' if model.num_samples > 1 else ''))
    if memory:
        print(f'a training step of {args.train_memory} x 3 x {height} x {width}: {memory}')


if __name__ == '__main__':
    main()
