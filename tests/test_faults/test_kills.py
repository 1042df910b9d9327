"""Kill -9 at any moment, then ``--resume``: the run ends bit for bit as if it had never been.

So does one that the disk was full for, or whose last checkpoint is damaged.
"""

import json
import os
import runpy
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from forked import fork, free_port
from in_process import last_of_each

from mtpsl.data_prep.synthetic import write_scenes
from mtpsl.engine.checkpoints.content import SAFE
from mtpsl.engine.visualization import read_curves

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs/synthetic/diffusionmtl_onelabel.py')
EPOCHS, STEPS = 3, 4
# Three epochs of four steps of two images; each is saved and validated.
OPTIONS = ['model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
           'model.neck.in_channels=(8,16,32,64)', 'model.neck.out_channels=8',
           'model.decoder.channels=8', 'model.diffusion.channels=8', 'model.diffusion.num_blocks=1',
           'data_preprocessor.size=(64,64)', 'test_evaluator.workers=0', 'val_evaluator.workers=0',
           'default_hooks.logger.interval=1', f'train_cfg.max_epochs={EPOCHS}',
           'train_cfg.val_begin=1', 'train_cfg.val_interval=1', 'train_dataloader.batch_size=2']
UNLIKE = {'time', 'data_time', 'eta', 'memory'}  # what is measured, not computed

# A training in a process of its own, which kills itself at the place that KILL names.
PROCESS = """
import os
import runpy
import shutil
import signal
import sys
from mmengine.runner import EpochBasedTrainLoop, ValLoop

os.environ.update(VARIABLES)
sys.stderr = open(f'{WORK_DIR}/stderr.txt', 'a')
place, _, number = KILL.partition(' ')

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(function, when, before=True):
    def call(*arguments, **named):
        if before and when(*arguments):
            die()
        result = function(*arguments, **named)
        if when(*arguments):
            die()
        return result
    return call

def cut_short(descriptor):
    name = os.readlink(f'/proc/self/fd/{descriptor}')
    if name.endswith(f'epoch_{number}.pth'):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        die()
    return fsync(descriptor)

def fill_disk(loop, index, batch):
    if loop.iter == 5:  # what will be written goes to a device that is always full
        os.symlink('/dev/full', f'{WORK_DIR}/.{os.getpid()}.epoch_{number}.pth')
    return run_iter(loop, index, batch)

fsync = os.fsync
run_iter = EpochBasedTrainLoop.run_iter
at_epoch = lambda *paths: str(paths[-1]).endswith(f'epoch_{number}.pth')
if place == 'iteration':
    EpochBasedTrainLoop.run_iter = dying(
        EpochBasedTrainLoop.run_iter, lambda loop, *_: loop.iter == int(number), before=False)
elif place == 'full':
    EpochBasedTrainLoop.run_iter = fill_disk
elif place == 'write':
    os.fsync = cut_short
elif place == 'rename':
    os.replace = dying(os.replace, at_epoch)
elif place == 'renamed':
    os.replace = dying(os.replace, at_epoch, before=False)
elif place == 'best':
    os.replace = dying(os.replace, lambda *paths: str(paths[-1]).endswith(
        f'best_normal_mErr_epoch_{number}.pth'))
elif place == 'remove':
    os.remove = dying(os.remove, at_epoch)
elif place == 'validation':
    ValLoop.run_iter = dying(ValLoop.run_iter, lambda loop, *_: loop.runner.epoch == int(number))
runpy.run_path(TOOL)['main'](LINE)
"""


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``--cfg-options`` that name eight training and two test scenes of 64x64."""
    root = tmp_path_factory.mktemp('data') / 'PASCALContext'
    write_scenes(root, 'pascal', STEPS * 2, 2, 64, 64, 0, 1)
    ids = (root / 'ImageSets/Context/train.txt').read_text().split()
    tasks = ['semseg', 'parsing', 'saliency', 'normal', 'boundary']
    (root / 'label_mappings').mkdir()
    (root / 'label_mappings/onelabel.json').write_text(json.dumps(
        {image: [tasks[i % 5]] for i, image in enumerate(ids)}))
    return [f'{split}_dataloader.dataset.data_root={root}' for split in ('train', 'val', 'test')]


def run(work_dir: Path, options: list[str], kill: str = '', workers: int = 0, processes: int = 1,
        resume: bool = False) -> list[int]:
    """Train; the exit codes of the processes. Where one is killed, so are the others."""
    work_dir.mkdir(exist_ok=True)
    (work_dir / 'process.py').write_text(PROCESS)
    persistent = [f'{split}_dataloader.{option}' for split in ('train', 'val') for option in (
        f'num_workers={workers}', f'persistent_workers={workers > 0}')]
    line = [CONFIG, '--work-dir', str(work_dir), *(['--resume'] if resume else []),
            *(['--launcher', 'pytorch'] if processes > 1 else []),
            *last_of_each(['--cfg-options', *OPTIONS, *persistent, *options])]
    shared = dict(CUDA_VISIBLE_DEVICES='', WORLD_SIZE=str(processes), MASTER_ADDR='127.0.0.1',
                  MASTER_PORT=free_port())
    started = [fork(runpy.run_path, str(work_dir / 'process.py'), dict(
        VARIABLES=shared | dict(RANK=str(rank), LOCAL_RANK=str(rank)),
        KILL='' if rank else kill, WORK_DIR=str(work_dir), LINE=line,
        TOOL=str(ROOT / 'tools/train.py'))) for rank in range(processes)]
    deadline = time.monotonic() + 300
    try:
        while None in (codes := [process.exitcode for process in started]):
            assert time.monotonic() < deadline
            if any(codes):  # a launcher ends the others
                for process in started:
                    process.kill()
            time.sleep(0.02)
    finally:
        for process in started:
            process.kill()
    return codes


def load(path: Path) -> dict:
    with torch.serialization.safe_globals(SAFE):
        return torch.load(path, weights_only=True)


def same(first: object, second: object) -> bool:
    """Bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return first == second


def history(checkpoint: dict) -> dict:
    """The logged curves of a checkpoint, as lists."""
    return {key: [array.tolist() for array in buffer._get_valid()]
            if hasattr(buffer, '_get_valid') else buffer.data[0].tolist()
            for key, buffer in checkpoint['message_hub']['log_scalars'].items()
            if not UNLIKE & {key.rpartition('/')[2]}}


def curves(work_dir: Path) -> list[dict]:
    return [{key: value for key, value in record.items() if key.rpartition('/')[2] not in UNLIKE}
            for record in read_curves(work_dir / 'curves.json')]


def assert_alike(work_dir: Path, reference: Path) -> None:
    for epoch in (EPOCHS - 1, EPOCHS):
        ours, theirs = (load(folder / f'epoch_{epoch}.pth') for folder in (work_dir, reference))
        for part in ('state_dict', 'optimizer', 'param_schedulers'):
            assert same(ours[part], theirs[part]), (epoch, part)
        assert history(ours) == history(theirs)
        assert [ours['meta'][key] for key in ('epoch', 'iter', 'seed')] == [
            epoch, epoch * STEPS, theirs['meta']['seed']]
    assert curves(work_dir) == curves(reference)
    names = {path.name for path in work_dir.glob('*.pth')} | {
        path.name for path in work_dir.glob('.*')}
    assert names == {f'epoch_{EPOCHS - 1}.pth', f'epoch_{EPOCHS}.pth'}
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / f'epoch_{EPOCHS}.pth')


@pytest.fixture(scope='module')
def reference(data: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts, with two worker processes."""
    work_dir = tmp_path_factory.mktemp('reference') / 'work'
    assert run(work_dir, data, workers=2) == [0]
    steps = [record['step'] for record in curves(work_dir)]
    assert steps == [1, 2, 3, 4, 1, 5, 6, 7, 8, 2, 9, 10, 11, 12, 3]
    return work_dir


@pytest.mark.parametrize('kill, goes_on_from', [
    ('iteration 6', 1),  # between two checkpoints
    ('write 2', 1),  # with half of the second written
    ('rename 2', 1),  # with all of it written, but under another name still
    ('renamed 2', 1),  # before the file last_checkpoint names it
    ('remove 1', 3),  # before what it replaces is removed
    ('validation 3', 3)])  # which is to be done again
def test_a_killed_run_ends_as_one_that_was_not(kill, goes_on_from, data, reference, tmp_path):
    work_dir = tmp_path / 'work'
    assert run(work_dir, data, kill) == [-signal.SIGKILL]
    before = {path.name for path in work_dir.glob('*.pth')}
    assert f'epoch_{goes_on_from}.pth' in before
    assert run(work_dir, data, resume=True) == [0]
    assert f'resumed epoch: {goes_on_from}, iter' in last_log(work_dir)
    assert_alike(work_dir, reference)


def last_log(work_dir: Path) -> str:
    return max(work_dir.glob('*/*.log'), key=os.path.getmtime).read_text()


def test_a_run_may_be_killed_again_and_again(data, reference, tmp_path):
    work_dir = tmp_path / 'work'
    for kill in ('iteration 2', 'write 1', 'iteration 5', 'iteration 5', 'validation 2'):
        assert run(work_dir, data, kill, resume=True) == [-signal.SIGKILL]
    assert run(work_dir, data, resume=True, workers=1) == [0]
    assert_alike(work_dir, reference)


def test_a_moved_folder_goes_on(data, reference, tmp_path):
    assert run(tmp_path / 'old', data, 'iteration 10') == [-signal.SIGKILL]
    work_dir = (tmp_path / 'old').rename(tmp_path / 'new')
    assert run(work_dir, data, resume=True) == [0]
    assert 'resumed epoch: 2, iter' in last_log(work_dir)
    assert_alike(work_dir, reference)


def test_the_best_checkpoint_is_not_lost(data, tmp_path):
    """The validation is in the curves by then, the best checkpoint not on the disk."""
    options = [*data, 'default_hooks.checkpoint.save_best=normal/mErr',
               'default_hooks.checkpoint.rule=less']
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    assert run(whole, options) == [0]
    assert (whole / 'best_normal_mErr_epoch_3.pth').is_file()
    assert run(killed, options, 'best 3') == [-signal.SIGKILL]
    assert run(killed, options, resume=True) == [0]
    ours, theirs = (load(folder / 'best_normal_mErr_epoch_3.pth') for folder in (killed, whole))
    assert same(ours['state_dict'], theirs['state_dict'])
    assert curves(killed) == curves(whole)
    assert len(list(killed.glob('*.pth'))) == len(list(whole.glob('*.pth'))) == 3


def test_two_processes_are_killed_and_go_on_alike(data, tmp_path):
    """Each rank draws noise of its own, and draws it again after the kill."""
    options = [*data, 'train_dataloader.batch_size=1']
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    assert run(whole, options, processes=2) == [0, 0]
    assert -signal.SIGKILL in run(killed, options, 'iteration 6', processes=2)
    assert run(killed, options, processes=2, resume=True) == [0, 0]
    assert_alike(killed, whole)


def test_a_full_disk_is_one_clear_error_and_costs_no_checkpoint(data, reference, tmp_path):
    work_dir = tmp_path / 'work'
    assert run(work_dir, data, 'full 2') == [1]
    error = (work_dir / 'stderr.txt').read_text().splitlines()[-1]
    assert f'cannot write {work_dir / "epoch_2.pth"} (' in error
    assert 'No space left on device' in error and 'files written before are intact' in error
    assert [path.name for path in work_dir.glob('*.pth')] == ['epoch_1.pth']
    assert not list(work_dir.glob('.*'))
    assert run(work_dir, data, resume=True) == [0]
    assert_alike(work_dir, reference)


@pytest.fixture(scope='module')
def killed(data: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two checkpoints, killed in its third epoch."""
    work_dir = tmp_path_factory.mktemp('killed') / 'work'
    assert run(work_dir, data, 'iteration 10') == [-signal.SIGKILL]
    return work_dir


@pytest.mark.parametrize('damage', ['half', 'flipped', 'empty', 'gone'])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(damage, data, reference, killed,
                                                                tmp_path):
    work_dir = shutil.copytree(killed, tmp_path / 'work')
    path = work_dir / 'epoch_2.pth'
    assert (work_dir / 'last_checkpoint').read_text() == str(killed / path.name)
    (work_dir / 'last_checkpoint').write_text(str(path))
    content = bytearray(path.read_bytes())
    if damage == 'half':
        path.write_bytes(content[:len(content) // 2])
    elif damage == 'flipped':  # one bit of the weights, with the size and all tables right
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == 'empty':
        path.write_bytes(b'')
    else:
        path.unlink()
    assert run(work_dir, data, resume=True) == [0]
    log = last_log(work_dir)
    assert 'resumed epoch: 1, iter: 4' in log
    assert ('damaged: ' in log) == (damage != 'gone')
    assert damage == 'gone' or f'going on from {work_dir / "epoch_1.pth"}' in log
    assert_alike(work_dir, reference)
