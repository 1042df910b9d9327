"""A small synthetic dataset on disk, and the command lines as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from forked import run_forked
from in_process import last_of_each

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/synthetic/diffusionmtl_onelabel.py'
# What every method of the demo shares at a fraction of its width; all of them in XTC and JTR.
TINY_BASELINE = ['model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
                 'model.neck.in_channels=(8,16,32,64)', 'model.neck.out_channels=16',
                 'model.decoder.channels=16', 'test_evaluator.workers=0',
                 'default_hooks.logger.interval=1']
TINY_REGULARIZED = [*TINY_BASELINE, 'model.regularizer.channels=(8,8,16,32,64)']
# The demo's model, two epochs of four steps.
TINY = [*TINY_BASELINE, 'model.diffusion.channels=16', 'model.diffusion.num_blocks=1',
        'train_cfg.max_epochs=2', 'train_dataloader.batch_size=4']


def command(script: str, *arguments: object) -> list[str]:
    """A tool's command line: Python for .py, bash for .sh."""
    head = [sys.executable] if script.endswith('.py') else ['bash']
    return [*head, str(ROOT / 'tools' / script), *last_of_each(arguments)]


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != 'MTPSL_DATA'}
    return inherited | dict(PYTHON=sys.executable, OMP_NUM_THREADS='1') | variables


def run(script: str, *arguments: object, check: bool = True, fresh: bool = False,
        **variables: str) -> subprocess.CompletedProcess:
    """Run a tool from the repository's root; its output is shown where it fails.

    Args:
        script: below ``tools/``.
        arguments: of its command line.
        check: whether another exit status than 0 is an error.
        fresh: let Python begin with nothing loaded, as on a user's command line.
        variables: of its environment.
    """
    line, environ = command(script, *arguments), environment(**variables)
    if fresh or script.endswith('.sh'):
        done = subprocess.run(line, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600, check=False)
    else:
        with TemporaryDirectory() as folder:
            done = run_forked(line, ROOT, environ, Path(folder, 'output'))
    assert not check or done.returncode == 0, done.stdout[-4000:]
    return done


# Layout of synthetic scenes -> the folder's name, where its ids are listed, its tasks.
LAYOUTS = dict(
    pascal=('PASCALContext', 'ImageSets/Context/train.txt',
            ['semseg', 'parsing', 'saliency', 'normal', 'boundary']),
    nyud=('NYUD', 'train/image', ['semseg', 'depth', 'normal']),
    cityscapes=('Cityscapes', 'train/image', ['semseg', 'depth']))


def write_scenes(root: Path, train: int, val: int, height: int, width: int, *settings: str,
                 layout: str = 'pascal') -> Path:
    """Synthetic scenes below ``root``, with a label mapping for each setting."""
    _, ids, tasks = LAYOUTS[layout]
    run('dataset_converters/make_synthetic.py', root, '--layout', layout, '--train', train,
        '--val', val, '--height', height, '--width', width, '--workers', 1)
    for setting in settings:
        run('dataset_converters/label_mapping.py', 'generate', '--ids', root / ids, '--setting',
            setting, '--tasks', *tasks, '--out', root / f'label_mappings/{setting}.json')
    return root


def data_options(root: Path, *splits: str) -> list[str]:
    return [f'{split}_dataloader.dataset.data_root={root}' for split in splits]


@pytest.fixture(scope='session')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 training and 6 test scenes of 64x64, one label each."""
    return write_scenes(tmp_path_factory.mktemp('scenes') / 'PASCALContext', 16, 6, 64, 64,
                        'onelabel')


@pytest.fixture(scope='session')
def options(scenes: Path) -> list[str]:
    """``--cfg-options`` that shrink the demo to seconds and point it at the scenes."""
    return ['--cfg-options', *TINY, *data_options(scenes, 'train', 'val', 'test')]


@pytest.fixture(scope='session')
def trained(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of a finished training run."""
    work = tmp_path_factory.mktemp('trained')
    done = run('train.py', CONFIG, '--work-dir', work, *options, fresh=True)
    (work / 'stdout.txt').write_text(done.stdout)
    return work
