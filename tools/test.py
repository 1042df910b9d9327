"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import json
import math
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from mtpsl.engine import build_runner, load_config
from mtpsl.engine.command import one_line_errors, runner_parser
from mtpsl.engine.config import evaluators, require
from mtpsl.engine.launch import set_work_dir
from mtpsl.evaluation import MultiTaskMetric, headline_table
from mtpsl.tasks import build_tasks

EVIDENCE_DIR = 'evidence'  # in the work dir, during a test
METRIC_NAMES = ('MultiTaskMetric', 'mtpsl.MultiTaskMetric')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = runner_parser('Test a model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file for the metrics (default: WORK_DIR/metrics.json)')
    parser.add_argument('--show-dir', help='folder for picture panels')
    parser.add_argument('--show-num', type=int, default=50,
                        help='panels at most, on each process (default: 50)')
    args = parser.parse_args(argv)
    if not Path(args.checkpoint).is_file():
        parser.error(f'there is no checkpoint file {args.checkpoint}')
    if args.out and (not args.out.endswith('.json') or Path(args.out).is_dir()):
        parser.error(f'--out must be a .json file, got {args.out}')
    if args.show_num < 1:
        parser.error(f'--show-num must be at least 1, got {args.show_num}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('test.py'):
        cfg = load_config(args.config, args.cfg_options)
        require(cfg, 'model', 'tasks', 'test_dataloader', 'test_cfg', 'test_evaluator')
        cfg.launcher = args.launcher
        cfg.load_from = args.checkpoint
        cfg.resume = False
        set_work_dir(cfg, args.work_dir, args.config)
        out = Path(args.out or Path(cfg.work_dir, 'metrics.json'))
        for folder in (out.parent, args.show_dir):  # now, not after the evaluation
            if folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
        if args.show_dir:
            cfg.default_hooks.panels = dict(type='PanelHook', out_dir=args.show_dir,
                                            num_images=args.show_num)
        for evaluator in evaluators(cfg, 'test'):  # the same command goes on where it was killed
            if evaluator.get('type') in (MultiTaskMetric, *METRIC_NAMES):
                evaluator.setdefault('evidence_dir', str(Path(cfg.work_dir, EVIDENCE_DIR)))
        metrics = build_runner(cfg).test()
        if is_main_process():
            report(metrics, cfg, out, args.show_dir)


def report(metrics: dict[str, float], cfg: Config, out: Path, show_dir: str | None) -> None:
    """Print the headline table, and write it (.md) and all the metrics (.json)."""
    table = headline_table(metrics, build_tasks(cfg.tasks))
    print(f'\n{table}\n')
    out.with_suffix('.md').write_text(table + '\n')
    # JSON has no NaN: what was not to be measured is null.
    finite = {key: None if math.isnan(value) else value for key, value in metrics.items()}
    out.write_text(json.dumps(finite, indent=2) + '\n')
    print(f'metrics: {out}')
    if show_dir:
        print(f'panels:  {show_dir}')


if __name__ == '__main__':
    main()
