"""Training curves of one's own runs: ``plot_curves.py [NAME=]WORK_DIR ... --out curves.pdf``."""

import argparse

from mtpsl.system.arguments import at_least
from mtpsl.system.config_arguments import one_line_errors
from mtpsl.system.figure_arguments import by_name, figure_parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = figure_parser('Losses and validation metrics of each task against iterations, several '
                           'runs overlaid; see docs/figures.md')
    parser.add_argument('runs', nargs='+', metavar='RUN',
                        help='[NAME=]WORK_DIR, or a curves.json of one')
    parser.add_argument('--smooth', type=at_least(1), default=1, metavar='N',
                        help='losses are means of the last N logged values (default: 1)')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('plot_curves.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.figures import draw_curves, read_named, read_run, save_figure

        runs = by_name([read_run(text) for text in args.runs], 'NAME=WORK_DIR')
        named = dict(zip(runs, map(read_named, args.runs)))
        save_figure(draw_curves(runs, args.smooth, named), args.out)
        print(f'figure: {args.out}')


if __name__ == '__main__':
    main()
