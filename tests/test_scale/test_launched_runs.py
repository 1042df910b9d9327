"""The launch scripts really run: slurm through a stub for srun, two torchruns as two nodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import free_port

from mtpsl.data_prep.synthetic import write_scenes

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/synthetic/mtl_baseline_onelabel.py'
TASKS = ('semseg', 'parsing', 'saliency', 'normal', 'boundary')
SECONDS = 180
RATE = 1e-3  # of the config, for its base_batch_size of 4


def environment(**variables: str) -> dict[str, str]:
    outer = {name: value for name, value in os.environ.items()
             if name not in ('MTPSL_DATA', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR',
                             'MASTER_PORT') and not name.startswith('SLURM_')}
    return outer | dict(PYTHON=sys.executable, OMP_NUM_THREADS='1',
                        CUDA_VISIBLE_DEVICES='') | variables


def start(script: str, *arguments: object, **variables: str) -> subprocess.Popen:
    head = [sys.executable] if script.endswith('.py') else ['bash']
    return subprocess.Popen([*head, str(ROOT / 'tools' / script), *map(str, arguments)], cwd=ROOT,
                            env=environment(**variables), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, start_new_session=True)


def finish(*processes: subprocess.Popen) -> list[str]:
    """Their outputs; all must end well, and in time."""
    outputs = []
    try:
        for process in processes:
            outputs.append(process.communicate(timeout=SECONDS)[0])
            assert process.returncode == 0, outputs[-1][-4000:]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, 9)
    return outputs


@pytest.fixture(scope='module')
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``--cfg-options`` for two steps of a tiny model on eight scenes of one label each."""
    root = tmp_path_factory.mktemp('scenes') / 'PASCALContext'
    write_scenes(root, 'pascal', 8, 3, 64, 64, 0, 1)
    names = (root / 'ImageSets/Context/train.txt').read_text().split()
    mapping = root / 'label_mappings/onelabel.json'
    mapping.parent.mkdir()
    mapping.write_text(json.dumps(
        {name: [TASKS[number % len(TASKS)]] for number, name in enumerate(names)}))
    loader = ('num_workers=0', 'persistent_workers=False', f'dataset.data_root={root}')
    return ['--cfg-options', 'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
            'model.neck.in_channels=(8,16,32,64)', 'model.neck.out_channels=8',
            'model.decoder.channels=8', 'model.decoder.num_blocks=1', 'test_evaluator.workers=0',
            'data_preprocessor.size=(64,64)', 'train_cfg.max_epochs=1',
            'train_dataloader.batch_size=2', 'default_hooks.logger.interval=1',
            *(f'{split}_dataloader.{part}' for split in ('train', 'val', 'test')
              for part in loader)]


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """A PATH with the stub first, and a port."""
    path = tmp_path / 'bin' / 'srun'
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" '
                    f'"{Path(__file__).with_name("srun_stub.py")}" "$@"\n')
    path.chmod(0o755)
    return dict(PATH=f'{path.parent}{os.pathsep}{os.environ["PATH"]}', PORT=free_port())


def rates(work: Path) -> list[float]:
    """The learning rates of the steps, from the one run's curves."""
    file, = work.glob('*/vis_data/scalars.json')
    records = map(json.loads, file.read_text().splitlines())
    return [record['lr'] for record in records if 'lr' in record]


def weights(work: Path) -> dict[str, torch.Tensor]:
    return torch.load(work / 'epoch_1.pth', weights_only=False)['state_dict']


def test_two_processes_train_and_test_alike_however_they_are_launched(options, slurm, tmp_path):
    """By slurm and by torchrun to the same bits, at a learning rate for 2 x 2 x 2 images an update;
    with one label an image no rank ever holds all tasks. Tested by one process and by two nodes.
    """
    scaled = ('--auto-scale-lr', *options, 'optim_wrapper.accumulative_counts=2')
    work = tmp_path / 'slurm'
    output, = finish(start('slurm_train.sh', 'part', 'job', CONFIG, '--work-dir', work, *scaled,
                           GPUS='2', SRUN_ARGS='--exclusive -v', **slurm))
    assert 'Epoch(train) [1][2/2]' in output
    assert rates(work)[0] == pytest.approx(RATE * 2 * 2 * 2 / 4)

    finish(start('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'torchrun', *scaled,
                 PORT=free_port()))
    by_slurm, by_torchrun = weights(work), weights(tmp_path / 'torchrun')
    assert all(torch.equal(value, by_torchrun[name]) for name, value in by_slurm.items())

    last = work / 'epoch_1.pth'
    output, = finish(start('slurm_test.sh', 'part', 'job', CONFIG, last, '--work-dir',
                           tmp_path / 'one', *options, GPUS='1', **slurm))
    assert output.count('metrics: ') == 1
    nodes = dict(NNODES='2', MASTER_ADDR='127.0.0.1', PORT=free_port())
    outputs = finish(*(start('dist_test.sh', CONFIG, last, 1, '--work-dir', tmp_path / 'two',
                             *options, NODE_RANK=rank, **nodes) for rank in '01'))
    assert ''.join(outputs).count('metrics: ') == 1
    one, two = (json.loads((tmp_path / name / 'metrics.json').read_text())
                for name in ('one', 'two'))
    assert one['boundary/odsF'] is not None
    for entry in ('task_options', 'tested'):
        assert one.pop(entry) == two.pop(entry)
    assert one == {name: pytest.approx(value, rel=1e-4, abs=1e-4) if value is not None else None
                   for name, value in two.items()}
