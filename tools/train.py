"""Train a model: ``python tools/train.py CONFIG``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mtpsl.system.config_arguments import one_line_errors, runner_parser

if TYPE_CHECKING:
    from mmengine.runner import Runner


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = runner_parser('Train a model')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from the latest checkpoint of the work dir, or from this one')
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the images of an update over the base '
                        'batch size')
    args = parser.parse_args(argv)
    if args.resume not in (None, 'auto') and not Path(args.resume).is_file():
        parser.error(f'--resume: there is no checkpoint file {args.resume}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('train.py'):  # here: --help needs no PyTorch
        from mtpsl.engine import build_runner, load_config
        from mtpsl.engine.checkpoints.latest import latest_checkpoint
        from mtpsl.engine.checkpoints.work_dir import claimed
        from mtpsl.engine.checks.before_training import check_training
        from mtpsl.engine.checks.check_data import check_labels
        from mtpsl.engine.config.load import require
        from mtpsl.engine.config.precheck import check_data, check_together
        from mtpsl.engine.launch import check_launcher, set_work_dir
        from mtpsl.engine.ranks import naming_lost_ranks
        from mtpsl.models.hitts.teacher import teacher_checkpoint

        cfg = load_config(args.config, args.cfg_options)
        require(cfg, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
        cfg.launcher = args.launcher
        set_work_dir(cfg, args.work_dir)
        if args.amp:
            cfg.optim_wrapper.type = 'AutocastOptimWrapper'
        if args.auto_scale_lr:
            if not cfg.get('auto_scale_lr'):
                raise ValueError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=N) in '
                                 'the config')
            cfg.auto_scale_lr.enable = True
        if args.resume:
            start = cfg.get('load_from')
            cfg.resume = args.resume != 'auto' or not start or bool(
                latest_checkpoint(cfg.work_dir)[0])
            if cfg.resume:  # else there is nothing yet, and the training starts from load_from
                cfg.load_from = None if args.resume == 'auto' else args.resume
        if cfg.model.get('teacher'):  # the run is of this file, also when it is resumed
            cfg.model.teacher = teacher_checkpoint(cfg.model.teacher)
        check_together(cfg)
        check_launcher(cfg)
        check_data(cfg, 'train', 'val')
        with claimed(cfg), naming_lost_ranks():
            runner = build_runner(cfg)
            check_training(runner)
            check_labels(runner)
            count_accumulation(runner)
            runner.train()


def count_accumulation(runner: 'Runner') -> None:
    """Let the scaled learning rate count accumulated batches too, which mmengine leaves out.

    In the runner, not in the config: a run's dumped config can be trained again.
    """
    scale, counts = runner.auto_scale_lr, runner.cfg.optim_wrapper.get('accumulative_counts', 1)
    if scale:
        base = scale['base_batch_size'] / counts
        runner.auto_scale_lr = dict(enable=scale.get('enable', False), base_batch_size=base)


if __name__ == '__main__':
    main()
