"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import json
import math
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mtpsl.system.arguments import at_least
from mtpsl.system.config_arguments import one_line_errors, runner_parser
from mtpsl.system.files import RESULT, put_aside, write_keeping

if TYPE_CHECKING:
    from mmengine.runner import Runner

METRIC_NAMES = ('MultiTaskMetric', 'mtpsl.MultiTaskMetric')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = runner_parser('Test a model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file for the metrics (default: WORK_DIR/metrics.json)')
    parser.add_argument('--show-dir', help='folder for picture panels')
    parser.add_argument('--show-num', type=int, default=50,
                        help='panels at most, on each process (default: 50)')
    parser.add_argument('--tta', action='store_true', help='average over scales and mirror images, '
                        "those of the config's tta_model (default: scales 0.75, 1 and 1.25)")
    parser.add_argument('--html', help='file for a report: the table, scores of classes and '
                        'images, panels of the best and worst; one file, without a network')
    parser.add_argument('--html-num', type=at_least(1), default=3,
                        help='best and worst images of each task in it (default: 3)')
    parser.add_argument('--amp', action='store_true', help='predict in bfloat16')
    args = parser.parse_args(argv)
    if not Path(args.checkpoint).is_file():
        from mtpsl.engine.checkpoints.checkpoint_file import checkpoint_file  # not for --help
        try:
            checkpoint_file(args.checkpoint)
        except FileNotFoundError as error:
            parser.error(str(error))
    if args.out and (not args.out.endswith('.json') or Path(args.out).is_dir()):
        parser.error(f'--out must be a .json file, got {args.out}')
    if args.html and (not args.html.endswith('.html') or Path(args.html).is_dir()):
        parser.error(f'--html must be a .html file, got {args.html}')
    if args.show_num < 1:
        parser.error(f'--show-num must be at least 1, got {args.show_num}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('test.py'):  # here: --help needs no PyTorch
        from mmengine.dist import is_main_process

        from mtpsl.analysis.task_options import trained_with
        from mtpsl.engine import build_runner, load_config
        from mtpsl.engine.checkpoints.resume import check_meaning
        from mtpsl.engine.checks.check_data import check_labels
        from mtpsl.engine.config.load import evaluators, require
        from mtpsl.engine.config.precheck import check_data, check_together
        from mtpsl.engine.launch import check_launcher, set_work_dir
        from mtpsl.engine.ranks import bare_model, naming_lost_ranks
        from mtpsl.evaluation import MultiTaskMetric

        cfg = load_config(args.config, args.cfg_options)
        require(cfg, 'model', 'tasks', 'test_dataloader', 'test_cfg', 'test_evaluator')
        tell_unread(args.cfg_options or {}, args.tta)
        cfg.launcher = args.launcher
        cfg.load_from = args.checkpoint
        cfg.model.pop('init_cfg', None)  # what a training began with
        cfg.resume = False
        set_work_dir(cfg, args.work_dir)
        tell_own(Path(cfg.work_dir), Path(args.checkpoint))
        out = Path(args.out or Path(cfg.work_dir, RESULT))
        html = args.html and Path(args.html)
        # Now, not after the evaluation.
        for folder in (out.parent, args.show_dir, html and html.parent):
            if folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
        if args.show_dir:
            cfg.default_hooks.panels = dict(type='PanelHook', out_dir=args.show_dir,
                                            num_images=args.show_num)
        for evaluator in evaluators(cfg, 'test') if html else ():
            if evaluator.get('type') in (MultiTaskMetric, *METRIC_NAMES):
                evaluator['keep_statistics'] = True
        check_together(cfg)
        check_launcher(cfg)
        check_meaning(args.checkpoint, cfg)
        trained = trained_with(args.checkpoint, cfg)  # now: a training may remove the file
        check_data(cfg, 'test')
        begin = time.time()
        with naming_lost_ranks():
            runner = build_runner(cfg)
            if args.tta:
                augment(runner)
            bare_model(runner).amp = args.amp
            check_labels(runner, training=False)
            metrics = runner.test()
        if is_main_process():
            report(metrics, runner, out, trained)
            if args.show_dir:
                report_panels(Path(args.show_dir), begin)
            if html:
                write_html(html, args.html_num, metrics, runner, args.checkpoint)


def tell_own(work_dir: Path, checkpoint: Path) -> None:
    """Warn where a work dir has another checkpoint of the name of the one that is tested."""
    own = work_dir / checkpoint.name
    if own.is_file() and checkpoint.is_file() and not own.samefile(checkpoint):
        warnings.warn(f'{checkpoint} is tested, and {work_dir}, where its figures go, has an '
                      f'{checkpoint.name} of its own', stacklevel=3)


def tell_unread(options: dict, tta: bool) -> None:
    """Warn of options on the command line where a test does not look: the validation's, and those
    of the views without ``--tta``.
    """
    for key in options:
        if key.split('.')[0] == 'tta_model' and not tta:
            warnings.warn(f'--cfg-options {key} has no effect without --tta', stacklevel=3)
        read = key.replace('val_', 'test_', 1)
        if key.startswith(('val_dataloader', 'val_evaluator')) and read not in options:
            warnings.warn(f'--cfg-options {key} has no effect on a test, which reads {read}',
                          stacklevel=3)


def augment(runner: 'Runner') -> None:
    """Let the model average over the views of the config's ``tta_model``."""
    from mtpsl.engine.ranks import bare_model

    model = bare_model(runner)
    model.augment_tests(runner.cfg.get('tta_model'))
    runner.logger.info(f'test-time augmentation: {len(model.tta.views)} views of an image')


def report(metrics: dict[str, float], runner: 'Runner', out: Path,
           trained: dict) -> None:
    """Print the primary metric table, and write it (.md) and all the metrics (.json).

    Other metrics that are there, of an earlier test, are put aside. ``trained`` is what the
    checkpoint says of its training.
    """
    from mtpsl.analysis.directions import DIRECTIONS, directions_of
    from mtpsl.analysis.task_options import OPTIONS, TESTED, options_of, tested_with
    from mtpsl.engine.ranks import bare_model
    from mtpsl.evaluation import primary_metric_table
    from mtpsl.tasks import build_tasks

    tasks = build_tasks(runner.cfg.tasks)
    model = bare_model(runner)
    table = primary_metric_table(metrics, tasks)
    print(f'\n{table}\n')
    # JSON has no NaN: what was not to be measured is null.
    finite = {key: None if math.isnan(value) else value for key, value in metrics.items()}
    content = finite | {
        DIRECTIONS: directions_of(tasks), OPTIONS: options_of(runner.cfg.tasks),
        TESTED: tested_with(model, runner.test_dataloader.dataset, trained)}
    write_keeping(out.with_suffix('.md'), table + '\n')
    write_keeping(out, json.dumps(content, indent=2) + '\n')
    print(f'metrics: {out}')


def report_panels(folder: Path, begin: float) -> None:
    """Say where the panels are, and how many of earlier tests are beside them."""
    older = sum(path.stat().st_mtime < begin for path in folder.rglob('*.png'))
    beside = f' ({older} of an earlier test are there too)' if older else ''
    print(f'panels:  {folder}{beside}')


def write_html(path: Path, number: int, metrics: dict[str, float], runner: 'Runner',
               checkpoint: str) -> None:
    """Write the report page."""
    from mtpsl.analysis.html_report import (
        confusions,
        extremes,
        image_scores,
        redraw,
        write_report,
    )
    from mtpsl.engine.ranks import bare_model
    from mtpsl.engine.visualization import MultiTaskVisualizer
    from mtpsl.evaluation import MultiTaskMetric
    from mtpsl.tasks import build_tasks

    tasks = build_tasks(runner.cfg.tasks)
    found = [metric.image_statistics for metric in runner.test_evaluator.metrics
             if isinstance(metric, MultiTaskMetric)]
    statistics = found[0] if found else {}
    scores = image_scores(statistics, tasks)
    chosen = {name: extremes(scores[name], task.higher_is_better, number)
              for name, task in tasks.items()}
    images = dict.fromkeys(image for extreme in chosen.values()
                           for image, _ in (*extreme.best, *extreme.worst))
    model = bare_model(runner)
    visualizer = MultiTaskVisualizer(tasks, name='report')  # the config's may be another
    panels = redraw(images, runner.test_dataloader.dataset, model, visualizer)
    put_aside(path)  # now, not before the panels: another test may write it meanwhile
    write_report(path, title=Path(runner.cfg.filename).stem, checkpoint=checkpoint,
                 config=runner.cfg.pretty_text, metrics=metrics, tasks=tasks, scores=scores,
                 chosen=chosen, panels=panels, confusions=confusions(statistics, tasks))
    print(f'report:  {path}')


if __name__ == '__main__':
    main()
