"""Ranks that differ are told apart before the first step; one that dies is named."""

import runpy
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from forked import fork, free_port
from in_process import last_of_each
from mmengine.config import Config
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine import load_config, ranks
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[2]
SECONDS = 240
# A training; rank 1 may die in its fourth iteration, or change its weights alone.
TRAIN = """
import os, sys, runpy
os.environ.update(VARIABLES)
sys.stderr = open(os.environ['STDERR'], 'w')
os.chdir(os.environ['NODE'])
from mmengine.runner import EpochBasedTrainLoop
run_iter = EpochBasedTrainLoop.run_iter
def dying(loop, index, batch):
    if os.environ['RANK'] == '1' and loop.iter == 3 and os.environ.get('DIES'):
        if os.environ['DIES'] == 'error':
            raise ValueError('a cause of its own')
        if os.environ['DIES'] == 'not':
            next(loop.runner.model.parameters()).data.mul_(1 + 1e-6)
            return run_iter(loop, index, batch)
        os.kill(os.getpid(), 9)
    return run_iter(loop, index, batch)
EpochBasedTrainLoop.run_iter = dying
runpy.run_path(TOOL)['main'](LINE)
"""


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp('images'))


def run(folder: Path, config: Path, options: list[list[str]], dies: str = '') -> list[tuple]:
    """Exit status and standard error of each rank, which has options and a folder of its own."""
    variables = dict(WORLD_SIZE=str(len(options)), MASTER_ADDR='127.0.0.1',
                     MASTER_PORT=free_port(), CUDA_VISIBLE_DEVICES='', DIES=dies)
    (folder / 'train.py').write_text(TRAIN)
    files, processes = [folder / f'stderr{rank}' for rank in range(len(options))], []
    for rank, own in enumerate(options):
        node = folder / f'node{rank}'
        node.mkdir(exist_ok=True)
        line = last_of_each([config, '--work-dir', folder / 'run', '--launcher', 'pytorch',
                             '--cfg-options', 'train_dataloader.batch_size=1',
                             'data_preprocessor.size=(64,64)', 'train_cfg.max_epochs=4', *own])
        processes.append(fork(runpy.run_path, str(folder / 'train.py'), dict(
            VARIABLES=variables | dict(RANK=str(rank), LOCAL_RANK=str(rank),
                                       STDERR=str(files[rank]), NODE=str(node)),
            TOOL=str(ROOT / 'tools/train.py'), LINE=line)))
    deadline = time.monotonic() + SECONDS
    try:
        for process in processes:
            process.join(deadline - time.monotonic())
        return [(process.exitcode, file.read_text(), process.pid)
                for process, file in zip(processes, files)]
    finally:
        for process in processes:
            process.kill()


def test_modules_of_a_config_must_be_the_same_on_all_ranks(monkeypatch):
    def gather(own: object) -> list:
        mine = own.get('code, as checksums') if isinstance(own, dict) else None
        other = mine and 'json' in mine
        return [own, own | {'code, as checksums': mine | dict(json=0)} if other else own]
    for name, value in (('get_world_size', lambda: 2), ('get_rank', lambda: 0),
                        ('all_gather_object', gather)):
        monkeypatch.setattr(ranks, name, value)
    runner = SimpleNamespace(cfg=Config(dict(custom_imports=dict(imports=['json']))), seed=0,
                             world_size=2, _randomness_cfg={})
    with pytest.raises(ValueError, match='rank 1 has other settings than rank 0 .*as checksums'):
        ranks.compare_settings(runner)
    runner.cfg = Config(dict())
    ranks.compare_settings(runner)


@pytest.mark.parametrize('other, words', [
    (['optim_wrapper.optimizer.lr=0.5'],
     'rank 1 has other settings than rank 0 (-> is rank 1): optim_wrapper.optimizer.lr 0.001 -> '
     '0.5'),
    (['randomness.seed=7'], 'randomness.seed 0 -> 7; seed 0 -> 7'),
    (['train_dataloader.dataset.data_root={tmp}/other'],
     'rank 1 has other training data than rank 0 (-> is rank 1): images 6 -> 5'),
    (['val_dataloader.dataset.data_root={tmp}/other'],
     'rank 1 has other validation data than rank 0 (-> is rank 1): images 6 -> 5'),
    (['train_dataloader.dataset.data_root={tmp}/outdated'],
     'rank 1 has other training data than rank 0: 1 of 18 images and labels that are compared are '
     'other files than rank 1 has, such as {images}/train/semseg/3.png ('),
    (['train_cfg.max_epochs=5'], 'rank 1 has other settings than rank 0 (-> is rank 1): '
     'train_cfg.max_epochs 4 -> 5'),
    (['load_from={tmp}/other.pth'], 'rank 1 has other weights than rank 0 (-> is rank 1): weights, '
     'as a digest ')])
def test_ranks_with_other_settings_do_not_train(other, words, images, tmp_path):
    write_images(tmp_path / 'other', images=5)
    shutil.copytree(images, tmp_path / 'outdated')  # node-local, one label before its correction
    shutil.copy(images / 'train/semseg/4.png', tmp_path / 'outdated/train/semseg/3.png')
    config = write_config(tmp_path / 'config.py', images)
    model = MODELS.build(load_config(str(config)).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'other.pth')
    (status, error, _), (status_1, error_1, _) = run(
        tmp_path, config, [[], [option.format(tmp=tmp_path) for option in other]])
    assert status and status_1
    line = error.splitlines()[-1]
    assert words.format(images=images) in line and 'start all with the same command' in line
    assert 'error: ' not in error_1  # once
    assert not list(tmp_path.glob('run/*.pth'))


@pytest.mark.parametrize('dies', ['', 'not'])
def test_weights_that_come_apart_are_told(dies, images, tmp_path):
    """At the next checkpoint, once, and none that was written before it."""
    config = write_config(tmp_path / 'config.py', images)
    statuses = [one[0] for one in run(tmp_path, config, [['log_level=INFO']] * 2, dies=dies)]
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    words = 'rank 1 no longer has what rank 0 has after'
    assert statuses == [0, 0] and log.count(words) == bool(dies)
    assert not dies or f'{words} 6 iterations (-> is rank 1): weights, as a digest' in log


def test_a_teacher_of_other_content_on_one_node_is_told(images, tmp_path):
    """Under the same path, which is outside of the model's own weights."""
    config = write_config(tmp_path / 'config.py', images, """
model = dict(backbone=dict(stem_channels=8, base_channels=8), decoder=dict(
    in_channels=(8, 16, 32, 64), channels=16, head_channels=16, dilations=(1, 2, 3), bins=dict()))
""")
    config.write_text(config.read_text().replace('mtl_small', 'hitts_small'))
    teacher = MODELS.build(load_config(str(config)).model)
    for rank in range(2):
        (tmp_path / f'node{rank}').mkdir()
        torch.save(dict(state_dict=teacher.state_dict(), meta={}),
                   tmp_path / f'node{rank}/teacher.pth')
        with torch.no_grad():
            next(teacher.parameters()).mul_(1.05)
    options = ['model.type=DistilledHiTTs', 'model.teacher=teacher.pth',
               'model.pseudo.semseg=None', 'model.pseudo.saliency=None',
               'train_dataloader.batch_size=2', 'train_dataloader.drop_last=True']
    (status, error, _), (status_1, error_1, _) = run(tmp_path, config, [options] * 2)
    assert status and status_1
    line = error.splitlines()[-1]
    assert 'rank 1 has other weights than rank 0' in line and ': weights of the teacher, as' in line
    assert 'error: ' not in error_1


@pytest.mark.parametrize('dies', ['kill', 'error'])
def test_a_rank_that_dies_is_named_by_the_others(dies, images, tmp_path):
    config = write_config(tmp_path / 'config.py', images)
    (status, error, _), (status_1, error_1, process) = run(tmp_path, config, [[], []], dies)
    assert status == 1
    line = error.splitlines()[-1]
    assert f'rank 1 (process {process} on ' in line
    assert 'is gone, so rank 0 stops; its own last line says why' in line
    assert 'peer' not in line
    if dies == 'kill':
        assert status_1 == -signal.SIGKILL
    else:
        assert status_1 == 1 and 'a cause of its own' in error_1.splitlines()[-1]
        assert 'a cause of its own' not in error
