"""Print a config with its bases and options resolved: ``print_config.py CONFIG``."""

import argparse
from pathlib import Path

from mtpsl.system.config_arguments import config_parser, one_line_errors
from mtpsl.system.files import put_aside


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = config_parser('Print a config as a run reads it, its bases merged')
    parser.add_argument('--out', type=Path, metavar='FILE.py', help='write it to this file as well')
    args = parser.parse_args(argv)
    if args.out and args.out.suffix != '.py':
        parser.error(f'--out must end in .py, got {args.out}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('print_config.py'):  # here: --help needs no PyTorch
        from mtpsl.engine import load_config

        cfg = load_config(args.config, args.cfg_options)
        print(cfg.pretty_text)
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            put_aside(args.out, cfg.pretty_text)
            cfg.dump(args.out)


if __name__ == '__main__':
    main()
