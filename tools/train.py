"""Train a model: ``python tools/train.py CONFIG``."""

import argparse
from pathlib import Path

from mtpsl.engine import build_runner, load_config
from mtpsl.engine.command import one_line_errors, runner_parser
from mtpsl.engine.launch import check_batches, set_work_dir


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = runner_parser('Train a model')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from the latest checkpoint of the work dir, or from this one')
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by batch size over the base batch size')
    args = parser.parse_args(argv)
    if args.resume not in (None, 'auto') and not Path(args.resume).is_file():
        parser.error(f'--resume: there is no checkpoint file {args.resume}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('train.py'):
        cfg = load_config(args.config, args.cfg_options)
        cfg.launcher = args.launcher
        set_work_dir(cfg, args.work_dir, args.config)
        if args.amp:
            cfg.optim_wrapper.type = 'AutocastOptimWrapper'
        if args.auto_scale_lr:
            if not cfg.get('auto_scale_lr'):
                raise ValueError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=N) in '
                                 'the config')
            cfg.auto_scale_lr.enable = True
        if args.resume:
            cfg.resume = True
            cfg.load_from = None if args.resume == 'auto' else args.resume
        runner = build_runner(cfg)
        check_batches(runner)
        runner.train()


if __name__ == '__main__':
    main()
