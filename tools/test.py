"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import json
import math
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process

from mtpsl.engine import build_runner, load_config
from mtpsl.engine.launch import set_work_dir
from mtpsl.evaluation import headline_table
from mtpsl.tasks import build_tasks


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs and metrics.json '
                        '(default: work_dirs/<config name>)')
    parser.add_argument('--out', help='file for the metrics (default: WORK_DIR/metrics.json)')
    parser.add_argument('--show-dir', help='folder for picture panels')
    parser.add_argument('--show-num', type=int, default=50,
                        help='panels at most, on each process (default: 50)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override parts of the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)  # older launchers pass it
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not Path(args.checkpoint).is_file():
        raise SystemExit(f'test.py: no checkpoint file {args.checkpoint}')
    if args.out and not args.out.endswith('.json'):
        raise SystemExit(f'test.py: --out must be a .json file, got {args.out}')
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    cfg.resume = False
    set_work_dir(cfg, args.work_dir, args.config)
    if args.show_dir:
        cfg.default_hooks.panels = dict(type='PanelHook', out_dir=args.show_dir,
                                        num_images=args.show_num)
    metrics = build_runner(cfg).test()
    if is_main_process():
        report(metrics, cfg, args)


def report(metrics: dict[str, float], cfg: Config, args: argparse.Namespace) -> None:
    """Print the headline table and write it (.md) beside all the metrics (.json)."""
    out = Path(args.out or Path(cfg.work_dir, 'metrics.json'))
    out.parent.mkdir(parents=True, exist_ok=True)
    table = headline_table(metrics, build_tasks(cfg.tasks))
    out.with_suffix('.md').write_text(table + '\n')
    # JSON has no NaN: what was not to be measured is null.
    finite = {key: None if math.isnan(value) else value for key, value in metrics.items()}
    out.write_text(json.dumps(finite, indent=2) + '\n')
    print(f'\n{table}\n')
    print(f'metrics: {out}')
    if args.show_dir:
        print(f'panels:  {args.show_dir}')


if __name__ == '__main__':
    main()
