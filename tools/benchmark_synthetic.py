"""Train and compare all methods on synthetic scenes: ``benchmark_synthetic.py [--seeds N]``.

Writes the scenes and their label mappings, trains and tests every method for every setting and
seed, and leaves tables, a plot, curves and a result set for ``analysis_tools/compare.py``. A run
that is finished is not done again: its figures stand in the record, one file that another machine
can go on with. One that was interrupted goes on from its last checkpoint.
"""

import argparse
import contextlib
import os
import runpy
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mtpsl.analysis.benchmark.methods import METHODS, config_options, teacher_of
from mtpsl.system.arguments import Parser, at_least, exit_with_one_line
from mtpsl.system.choices import PASCAL_TASKS as TASKS

if TYPE_CHECKING:
    from mtpsl.analysis.benchmark.record import Record

ROOT = Path(__file__).resolve().parents[1]
SIZES = ('epochs', 'train', 'val', 'size', 'channels', 'batch')  # what all runs have in common
PRELOAD = ['mtpsl.engine', 'mtpsl.models', 'mtpsl.datasets.transforms']
SETTINGS = dict(onelabel='onelabel', random='randomlabels')  # in the configs' names; mapping


class Job(NamedTuple):
    """One model to train and test.

    Attributes:
        method: its row in the table.
        setting: 'onelabel' or 'random'.
        seed: of the run.
        task: of a single-task model; '' for all tasks.
        config: file below ``configs/synthetic``, without suffix.
    """

    method: str
    setting: str
    seed: int
    task: str
    config: str

    @property
    def name(self) -> str:
        return f'{self.config}_seed{self.seed}'

    def folder(self, out: Path) -> Path:
        return out / 'runs' / self.name


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser('benchmark_synthetic.py', description=(
        'Train and test all methods on synthetic scenes, and compare them'))
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'),
                        help='folder for all that is made (default: work_dirs/benchmark)')
    parser.add_argument('--record', type=Path, metavar='FILE',
                        help='JSON file with the figures of finished runs, which are not done '
                        'again (default: OUT/runs.json)')
    parser.add_argument('--methods', nargs='+', choices=list(METHODS), default=list(METHODS),
                        metavar='NAME', help=f'of {", ".join(METHODS)} (default: all)')
    parser.add_argument('--settings', nargs='+', choices=list(SETTINGS), default=list(SETTINGS),
                        help='labels of a training image (default: both)')
    numbers = dict(seeds=(3, 'runs of each model'), epochs=(30, 'of training'),
                   train=(800, 'training scenes'), val=(100, 'test scenes'),
                   size=(96, 'side of the square scenes and crops, a multiple of 32 from 64 on'),
                   channels=(32, 'of the models, a multiple of 8'), batch=(8, 'images of a step'),
                   validations=(0, 'measurements of each run on its way, for the curves'),
                   jobs=(1, 'models that are trained at once'),
                   workers=(0, 'data loading processes of each'))
    for name, (default, text) in numbers.items():
        parser.add_argument(f'--{name}', type=at_least(int(name not in ('workers', 'validations'))),
                            default=default, metavar='N', help=f'{text} (default: {default})')
    args = parser.parse_args(argv)
    args.record = args.record or args.out / 'runs.json'
    # XTC's and JTR's networks halve maps of half the size five times.
    for name, divisor, least in (('size', 32, 64), ('channels', 8, 8)):
        value = getattr(args, name)
        if value % divisor or value < least:
            parser.error(f'--{name} must be a multiple of {divisor} of at least {least}, got '
                         f'{value}')
    if args.batch < 2 and 'HiTTs' in args.methods:  # it normalises averages of whole images
        parser.error(f'--batch must be at least 2 for HiTTs, got {args.batch}; --methods leaves '
                     'it out')
    if set(str(args.out.resolve())) & set(' ,()[]\'"'):
        parser.error('--out must be a path without blanks, commas, brackets and quotes, which '
                     f'--cfg-options would take for others, got {args.out.resolve()}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    exit_with_one_line('benchmark_synthetic.py', lambda: benchmark(args))


def list_jobs(seeds: Iterable[int], settings: Iterable[str], methods: Iterable[str]) -> list[Job]:
    """The models of these, seed by seed."""
    return [Job(method, setting, seed, task, config.format(setting=setting, task=task))
            for seed in seeds for setting in settings for method in methods
            for config in [METHODS[method]] for task in (TASKS if '{task}' in config else [''])]


def benchmark(args: argparse.Namespace) -> None:
    """Do what is not done yet, and report what is.

    Raises:
        ValueError: the folder holds a benchmark of other sizes, or runs failed.
    """
    from mtpsl.analysis.benchmark.benchmark_report import write_report
    from mtpsl.analysis.benchmark.record import Record  # here: --help needs none of it

    data = args.out.resolve() / 'data'
    record = Record(args.record, {name: getattr(args, name) for name in SIZES})
    jobs = list_jobs(range(args.seeds), args.settings, args.methods)
    todo = [job for job in jobs if job.name not in record.runs]
    if todo:
        write_scenes(args, data)
    print(f'{len(jobs)} models, {len(todo)} of them to train', flush=True)
    failed = train_all(args, data, todo, record)
    if record.runs:  # also those of other methods, settings and seeds
        print(f'\n{write_report(args.out, list(record.runs.values()))}\nreport: '
              f'{args.out}/report.md, plot.svg, results.json; runs: {args.record}')
    if failed:
        raise ValueError(f'{len(failed)} runs failed, see {failed[0].folder(args.out)}/log.txt')


def write_scenes(args: argparse.Namespace, data: Path) -> None:
    """The scenes and a label mapping for each setting, where they are not there yet."""
    def tool(script: str, *arguments: object) -> None:
        command = [sys.executable, ROOT / 'tools/dataset_converters' / script, *map(str, arguments)]
        if subprocess.run(command, check=False).returncode:
            raise ValueError(f'{script} failed, as it says above')

    if not (data / 'synthetic.json').is_file():
        tool('make_synthetic.py', data, '--train', args.train, '--val', args.val,
             '--height', args.size, '--width', args.size)
    for setting in args.settings:
        path = data / 'label_mappings' / f'{SETTINGS[setting]}.json'
        if not path.is_file():
            tool('label_mapping.py', 'generate', '--setting', SETTINGS[setting], '--ids',
                 data / 'ImageSets/Context/train.txt', '--out', path, '--tasks', *TASKS)


def train_all(args: argparse.Namespace, data: Path, todo: list[Job], record: 'Record') -> list[Job]:
    """Train, test and record the models, ``--jobs`` at once; the ones that failed."""
    # A process is a clone of one that has loaded the libraries, once, and runs one model. mmengine
    # looks for a GPU when it is loaded; by NVML, since a clone could not use a CUDA that its
    # parent has started.
    os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')
    context = get_context('forkserver')
    context.set_forkserver_preload(PRELOAD)

    def train(job: Job) -> None:
        with ProcessPoolExecutor(1, context) as process:
            process.submit(run, job, args, data).result()

    start, failed = time.monotonic(), []
    with ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(train, job): job for job in todo}
        try:
            for done, future in enumerate(as_completed(running), 1):
                job = running[future]
                if future.exception() is None:
                    record.add(job.name, job.method, job.setting, job.seed, job.folder(args.out))
                else:
                    failed.append(job)
                left = (time.monotonic() - start) / done * (len(todo) - done)
                state = f'FAILED{cause(job.folder(args.out))}' if job in failed else 'done'
                print(f'{done}/{len(todo)} {job.config} seed {job.seed}: {state}  '
                      f'eta: {timedelta(seconds=round(left))}', flush=True)
        except BaseException:  # Ctrl-C: what was not begun is left
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def cause(folder: Path) -> str:
    """``: <tool>: error: ...`` of a failed run's log; '' where it does not say."""
    log = folder / 'log.txt'
    lines = log.read_text(errors='replace').splitlines() if log.is_file() else []
    return next((f': {line}' for line in reversed(lines) if '.py: error: ' in line), '')


def run(job: Job, args: argparse.Namespace, data: Path) -> None:
    """Train and test one model in this process; what the tools say goes to ``log.txt``.

    A model with a teacher trains that first, in a folder of its own work dir.
    """
    folder = job.folder(args.out)
    folder.mkdir(parents=True, exist_ok=True)

    def line(config: str, work_dir: Path, *more: str) -> tuple[str, list[str]]:
        options = config_options(config, data, size=args.size, channels=args.channels,
                                 batch=args.batch, epochs=args.epochs, workers=args.workers,
                                 seed=job.seed, validations=args.validations)
        return str(ROOT / f'configs/synthetic/{config}.py'), [
            '--work-dir', str(work_dir), '--cfg-options', *options, *more]

    teacher, stage_1 = teacher_of(job.config), folder.resolve() / 'stage1'
    config, common = line(job.config, folder, *([f'model.teacher={stage_1}'] if teacher else []))
    with (folder / 'log.txt').open('a') as log, contextlib.redirect_stdout(log), \
            contextlib.redirect_stderr(log):
        try:
            if teacher:
                first, options = line(teacher, stage_1)
                _main('train.py')([first, '--resume', *options])
            _main('train.py')([config, '--resume', *common])
            _main('test.py')([config, (folder / 'last_checkpoint').read_text(), *common])
        except BaseException:
            traceback.print_exc()
            raise


def _main(script: str) -> Callable[[list[str]], None]:
    return runpy.run_path(str(ROOT / 'tools' / script))['main']


if __name__ == '__main__':
    main()
