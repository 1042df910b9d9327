"""A work dir is one training's at a time; nothing whole in it is lost, nothing outside touched."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from test_faults.poison import train
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine import SafeCheckpointHook
from mtpsl.engine.checkpoints import work_dir
from mtpsl.engine.checkpoints.work_dir import LOCK, claimed, hold, refuse_used, release

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from mtpsl.engine.checkpoints.work_dir import hold
hold(sys.argv[1])
print('held', flush=True)
time.sleep(600)
"""


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp('images'))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def last_error(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        train(*arguments)
    assert end.value.code == 1
    return capsys.readouterr().err.splitlines()[-1]


# ---------------------------------------------------------------- a run that is there already

def test_forgetting_resume_once_loses_nothing(images, tmp_path, capsys):
    config = str(write_config(tmp_path / 'config.py', images, 'train_cfg = dict(max_epochs=2)'))
    run = tmp_path / 'run'
    train(config, str(run), '--cfg-options', 'train_cfg.max_epochs=1')
    before = content(run)
    error = last_error(capsys, config, str(run))
    assert (f'{run} holds checkpoints of a run, such as epoch_1.pth: --resume goes on with it; to '
            'start a new one give another --work-dir') in error
    assert content(run) == before and not (run / LOCK).exists()
    error = last_error(capsys, config, str(run), '--cfg-options',
                       f'load_from={run / "epoch_1.pth"}')  # a new run as well
    assert 'holds checkpoints of a run' in error and content(run) == before
    train(config, str(run), '--resume')
    assert (run / 'epoch_2.pth').is_file()
    assert not (run / LOCK).exists()


def test_an_earlier_run_is_not_overwritten_by_one_that_never_saved(images, tmp_path, capsys):
    """As versions until 1.0 left it where --resume was forgotten."""
    config = str(write_config(tmp_path / 'config.py', images, 'train_cfg = dict(max_epochs=2)'))
    run = tmp_path / 'run'
    train(config, str(run), '--cfg-options', 'train_cfg.max_epochs=1')
    (run / 'last_checkpoint').write_text('')
    os.utime(run / 'epoch_1.pth', (1, 1))
    before = content(run)
    error = last_error(capsys, config, str(run), '--resume')
    assert (f'{run} holds checkpoints of an earlier run, such as epoch_1.pth, and none of the one '
            f'that began last: --resume {run / "epoch_1.pth"} goes on with that') in error
    assert content(run) == before
    for later in (False, True):
        train(config, str(run), '--resume', str(run / 'epoch_1.pth'))
        assert (run / 'last_checkpoint').read_text() == str(run / 'epoch_2.pth')
        log = max(run.glob('*/*.log')).read_text()
        assert ('holds checkpoints of later steps than ' in log) == later
        assert ('epoch_1.pth: epoch_2.pth. They will be replaced' in log) == later


def test_what_counts_as_a_run(tmp_path):
    refuse_used(tmp_path / 'nowhere')
    (tmp_path / 'notes.pth').touch()
    (tmp_path / 'last_checkpoint').write_text('')  # it began and has not saved
    refuse_used(tmp_path)
    (tmp_path / 'last_checkpoint').write_text('/gone/model_3.pth')
    refuse_used(tmp_path)
    (tmp_path / 'model_3.pth').touch()  # under a name of its own
    with pytest.raises(ValueError, match='such as model_3.pth: --resume'):
        refuse_used(tmp_path)
    (tmp_path / 'last_checkpoint').unlink()
    (tmp_path / 'best_semseg_mIoU_epoch_3.pth').touch()
    with pytest.raises(ValueError, match='such as best_semseg_mIoU_epoch_3.pth'):
        refuse_used(tmp_path)


def config_of(folder: Path, **options: object) -> Config:
    return Config(dict(work_dir=str(folder)) | options)


def test_a_checkpoint_of_elsewhere_does_not_go_on_in_a_used_folder(tmp_path):
    run, other = tmp_path / 'run', tmp_path / 'other'
    for folder in (run, other):
        folder.mkdir()
        (folder / 'epoch_3.pth').touch()
    with claimed(config_of(run, resume=True, load_from=str(run / 'epoch_3.pth'))):
        assert (run / LOCK).is_file()
    with pytest.raises(ValueError, match='other/epoch_3.pth is not one of them: give another'), \
            claimed(config_of(run, resume=True, load_from=str(other / 'epoch_3.pth'))):
        pass
    with claimed(config_of(tmp_path / 'new', resume=True, load_from=str(other / 'epoch_3.pth'))):
        pass


def test_the_checkpoints_own_folder_is_claimed_too(tmp_path, monkeypatch):
    hooks = dict(checkpoint=dict(out_dir=str(tmp_path / 'out')))
    with claimed(config_of(tmp_path / 'run', default_hooks=hooks)):
        assert {path.parent for path in tmp_path.rglob(LOCK)} == {
            tmp_path / 'run', tmp_path / 'out/run'}
    assert not list(tmp_path.rglob(LOCK))
    (tmp_path / 'out/run/iter_10.pth').touch()
    with pytest.raises(ValueError, match='out/run holds checkpoints'), claimed(
            config_of(tmp_path / 'run', default_hooks=hooks)):
        pass
    monkeypatch.setenv('RANK', '1')  # rank 0 looks
    with claimed(config_of(tmp_path / 'run', default_hooks=hooks, launcher='pytorch')):
        assert not list(tmp_path.rglob(LOCK))


# ---------------------------------------------------------------- a run that is under way

def test_two_trainings_in_one_folder(images, tmp_path, capsys):
    """The second is refused while the first lives, and goes on at once when it was killed."""
    run = tmp_path / 'run'
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, str(run)], stdout=subprocess.PIPE,
                              text=True, env=os.environ | dict(PYTHONPATH=str(ROOT)))
    config = str(write_config(tmp_path / 'config.py', images))
    try:
        assert holder.stdout.readline() == 'held\n'
        before = content(run)
        for more in ([], ['--resume']):
            error = last_error(capsys, config, str(run), *more)
            assert (f'{run} is in use by a training: process {holder.pid} on '
                    f'{socket.gethostname()}, since 2') in error
            assert 'give another --work-dir' in error
        assert content(run) == before
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (run / LOCK).is_file()  # nobody could remove it
    train(config, str(run), '--resume')
    assert not (run / LOCK).exists()


def test_a_lock_may_be_taken_again_by_its_owner(tmp_path):
    hold(tmp_path)
    hold(tmp_path)
    owner = json.loads((tmp_path / LOCK).read_text())
    assert owner['process'] == os.getpid() and owner['host'] == socket.gethostname()
    release(tmp_path)
    release(tmp_path)
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize('taken', [False, True])
def test_a_lock_that_was_removed_by_hand(taken, images, tmp_path, capsys):
    """The run takes it again, or stops before it writes among the files of another."""
    run, config = tmp_path / 'run', str(write_config(tmp_path / 'config.py', images))
    holders = []

    def steal(hook: object, runner: Runner, *rest: object) -> None:
        (run / LOCK).unlink()
        if taken:
            holders.append(subprocess.Popen(
                [sys.executable, '-c', HOLDER, str(run)], stdout=subprocess.PIPE, text=True,
                env=os.environ | dict(PYTHONPATH=str(ROOT))))
            assert holders[0].stdout.readline() == 'held\n'
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('mtpsl.engine.ReseedHook.before_train_epoch', steal)
            if taken:
                error = last_error(capsys, config, str(run))
                assert f'{run}/{LOCK} was removed while this process held it, and now' in error
                assert f'process {holders[0].pid} on ' in error and 'nothing more is saved' in error
                assert (run / LOCK).is_file() and not list(run.glob('*.pth'))
            else:
                train(config, str(run))
                assert (run / 'epoch_1.pth').is_file() and not (run / LOCK).exists()
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


@pytest.mark.parametrize('text', ['', 'what', '[]', '{"host": 3}'])
def test_a_damaged_lock_of_nobody_is_taken(text, tmp_path):
    (tmp_path / LOCK).write_text(text)
    hold(tmp_path)
    assert json.loads((tmp_path / LOCK).read_text())['process'] == os.getpid()
    release(tmp_path)


def test_another_machine_s_lock_is_watched_for_a_sign_of_life(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(work_dir, 'PATIENCE', 1.0)
    path = tmp_path / LOCK
    path.write_text(json.dumps(dict(host='node7', process=12, boot='x', since='2026-01-01')))
    stop = threading.Event()
    monkeypatch.setattr(work_dir, 'BEAT', 0.05)
    owner = threading.Thread(target=work_dir._beat, args=(path, stop))
    owner.start()
    try:
        with pytest.raises(ValueError, match='in use by a training: process 12 on node7, since 20'):
            hold(tmp_path)
    finally:
        stop.set()
        owner.join()
    hold(tmp_path)  # it is silent now
    assert 'is of process 12 on node7: waiting up to 1 s for a sign of life' in (
        capsys.readouterr().out)
    assert json.loads(path.read_text())['host'] == socket.gethostname()
    first = path.stat().st_mtime_ns
    deadline = time.monotonic() + 60
    while path.stat().st_mtime_ns == first:  # ours gives signs of life
        assert time.monotonic() < deadline
        time.sleep(0.05)
    release(tmp_path)


# ---------------------------------------------------------------- what a checkpoint may delete

def runner_of(folder: Path, info: dict) -> SimpleNamespace:
    hub = SimpleNamespace(runtime_info=info, get_info=info.get)
    return SimpleNamespace(
        model=torch.nn.Identity(), optim_wrapper=None, message_hub=hub, work_dir=str(folder),
        val_loop=None,
        logger=SimpleNamespace(info=lambda text: None, warning=lambda text: None), _resume=True,
        cfg={}, epoch=3, iter=9, hooks=[],
        _load_from=str(folder / 'epoch_3.pth'))


@pytest.mark.parametrize('keys', [('a/b',), ('a/b', 'c')])
def test_only_files_of_the_run_s_own_folder_are_deleted(keys, tmp_path):
    """Whatever a checkpoint says: the folder was copied, or somebody wrote it."""
    run, elsewhere = tmp_path / 'run', tmp_path / 'elsewhere'
    for folder in (run, elsewhere, run / 'epoch_', run / 'best_x_epoch_1.pth'):
        folder.mkdir()
    victims = [elsewhere / name for name in (
        'best_a_b_epoch_1.pth', 'best_c_epoch_1.pth', 'thesis.txt', 'epoch_9.pth')]
    for path in (*victims, run / 'epoch_1.pth', run / 'epoch_2.pth', run / 'notes.txt'):
        path.write_text(path.name)
    (run / 'best_c_epoch_1.pth').write_text('own')
    (run / 'best_a_b_epoch_1.pth').symlink_to(victims[0])
    steps = ['/../../elsewhere/epoch_9', 7.5, None, 1, 2, 3]
    named = [str(victims[0]), str(victims[1])] if len(keys) > 1 else [str(victims[2])]
    info = {'best_ckpt' if len(keys) == 1 else f'best_ckpt_{key}': path
            for key, path in zip(keys, named)}
    info |= dict(keep_ckpt_ids=list(steps), outdated_ckpt_ids=['../x', 1])
    hook = SafeCheckpointHook(interval=1, max_keep_ckpts=2, save_best=list(keys), rule='less')
    hook.before_train(runner_of(run, info))
    assert all(path.read_text() == path.name for path in victims)
    assert (run / 'notes.txt').exists() and not (run / 'epoch_1.pth').exists()
    assert list(hook.keep_ckpt_ids) == [2, 3]
    if len(keys) == 1:
        assert hook.best_ckpt_path is None and info['best_ckpt'] is None
    else:  # those of a copied folder are the copy's
        assert hook.best_ckpt_path_dict == {
            'a/b': str(run / 'best_a_b_epoch_1.pth'), 'c': str(run / 'best_c_epoch_1.pth')}
        hook.file_backend.remove(hook.best_ckpt_path_dict['a/b'])
        assert victims[0].read_text() == victims[0].name  # the link is gone, not what it names
    release(run)


@pytest.mark.parametrize('path', ['best_x_epoch_1.pth', '..', '.', '', '/', 3, '../run/notes.txt',
                                  'best_gone_epoch_1.pth'])
def test_a_best_checkpoint_is_a_file_of_that_name(path, tmp_path):
    run = tmp_path / 'run'
    (run / 'best_x_epoch_1.pth').mkdir(parents=True)
    (run / 'notes.txt').touch()
    info = dict(best_ckpt=path)
    hook = SafeCheckpointHook(interval=1, save_best='a', rule='less')
    hook.before_train(runner_of(run, info))
    assert hook.best_ckpt_path is None
    release(run)


def test_a_copied_run_goes_on_and_leaves_the_original_alone(images, tmp_path):
    config = str(write_config(
        tmp_path / 'config.py', images, 'train_cfg = dict(max_epochs=2, val_begin=1, '
        'val_interval=1)', "default_hooks = dict(checkpoint=dict(save_best='semseg/mIoU', "
        "rule='greater'))"))
    original, copied = tmp_path / 'original', tmp_path / 'copy'
    train(config, str(original), '--cfg-options', 'train_cfg.max_epochs=1')
    best = original / 'best_semseg_mIoU_epoch_1.pth'
    assert best.is_file()
    subprocess.run(['cp', '-r', str(original), str(copied)], check=True)
    last = copied / 'epoch_1.pth'
    state = torch.load(last, weights_only=False)  # any score is a better one now
    state['message_hub']['runtime_info']['best_score'] = -1.0
    torch.save(state, last)
    before = content(original)
    (copied / best.name).unlink()
    train(config, str(copied), '--resume')
    assert content(original) == before
    assert f'{best.name}, is not in {copied}, and only' in max(copied.glob('*/*.log')).read_text()
    assert [path.name for path in copied.glob('best_*')] == ['best_semseg_mIoU_epoch_2.pth']
