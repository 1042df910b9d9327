"""Fig. 8 of one's own runs: ``plot_gains.py [NAME=]RUN ... --out gains.pdf``."""

import argparse

from mtpsl.system.config_arguments import one_line_errors
from mtpsl.system.figure_arguments import by_name, figure_parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = figure_parser('Initial against denoised predictions, all tasks of one model or of '
                           "several datasets, as in the paper's Fig. 8; see docs/figures.md")
    parser.add_argument('runs', nargs='+', metavar='RUN',
                        help='[NAME=]RUN[,RUN...], a RUN being a work dir or a metrics.json; '
                        'several are seeds of one model')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('plot_gains.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.figures import draw_gains, read_gains, save_figure, tell_other_ways

        tell_other_ways(args.runs)
        models = by_name([read_gains(text) for text in args.runs], 'NAME=RUN')
        save_figure(draw_gains(models), args.out)
        print(f'figure: {args.out}')


if __name__ == '__main__':
    main()
