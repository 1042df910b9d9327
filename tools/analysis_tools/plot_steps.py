"""Fig. 6 of one's own runs: ``plot_steps.py WORK_DIR ... --out steps.pdf``."""

import argparse

from mtpsl.system.config_arguments import add_cfg_options, one_line_errors
from mtpsl.system.figure_arguments import figure_parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = figure_parser('Metrics and multiply-adds against the number of denoising steps, as in '
                           "the paper's Fig. 6; see docs/figures.md")
    parser.add_argument('runs', nargs='+', metavar='RUN',
                        help='a model of so many steps: WORK_DIR (with its config and '
                        'metrics.json), or CONFIG=METRICS[,METRICS...] (of several seeds)')
    add_cfg_options(parser, 'the configs')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('plot_steps.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.figures import draw_steps, read_step_row, save_figure

        rows = [read_step_row(text, args.cfg_options) for text in args.runs]
        save_figure(draw_steps(rows), args.out)
        for row in sorted(rows, key=lambda row: row.steps):
            print(f'S = {row.steps}: {row.macs / 1e9:.2f} G multiply-adds ({row.origin})')
        print(f'figure: {args.out}')


if __name__ == '__main__':
    main()
