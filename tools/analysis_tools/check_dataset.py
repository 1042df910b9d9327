"""Open the images and labels of a config's datasets: ``check_dataset.py CONFIG``."""

import argparse

from mtpsl.system.arguments import sample_size
from mtpsl.system.config_arguments import config_parser, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = config_parser('Open the images and labels of a config\'s datasets, once')
    parser.add_argument('--sample', type=sample_size, default=20, metavar='N',
                        help="images of each dataset to open, or 'all' (default: 20)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 where something is broken."""
    args = parse_args(argv)
    with one_line_errors('check_dataset.py'):  # here: --help needs no PyTorch
        from mtpsl.engine.checks.check_commands import run_config_check

        run_config_check('check_dataset.py', args.config, args.cfg_options, args.sample)


if __name__ == '__main__':
    main()
