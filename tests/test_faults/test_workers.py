"""Data loading processes that die: the run ends, and says of what."""

import os
import re
import signal
import sys

import pytest
from forked import run_forked
from in_process import load_tool, running_here

from mtpsl.system.config_arguments import one_line_errors

from .tiny_run import ROOT, write_config, write_images

KILLER = """
import os
from torch.utils.data import get_worker_info
from mtpsl.registry import TRANSFORMS

@TRANSFORMS.register_module(force=True)
class EndOwnProcess:
    def __init__(self, image, signal=None):
        self.image, self.signal = image, signal

    def __call__(self, results):
        if results['img_id'] == self.image and get_worker_info():
            os.kill(os.getpid(), self.signal) if self.signal else os._exit(3)
        return results
"""


def killing_config(tmp_path, split: str, number: int | None):
    """Image 3 of a split ends the process that reads it."""
    (tmp_path / 'killer.py').write_text(KILLER)
    loader = f'{split}_dataloader'
    return write_config(
        tmp_path / 'config.py', write_images(tmp_path / 'data'),
        "custom_imports = dict(imports=['killer'])",
        f"{loader}['num_workers'] = 2", 'train_cfg = dict(max_epochs=1, val_begin=1)',
        f"{loader}['dataset'] = dict({loader}['dataset'], pipeline=[*pipeline[:1], "
        f"dict(type='EndOwnProcess', image='3', signal={number}), *pipeline[1:]])")


def test_a_killed_worker_ends_the_command_with_its_cause(tmp_path):
    config = killing_config(tmp_path, 'train', int(signal.SIGKILL))
    done = run_forked(
        [sys.executable, ROOT / 'tools/train.py', config, '--work-dir', tmp_path / 'work'],
        ROOT, os.environ | dict(PYTHONPATH=str(tmp_path)), tmp_path / 'output')
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 1
    assert re.match(r'train.py: error: the data loading process \d+ was killed: SIGKILL, usually '
                    'by the kernel or the batch system for lack of memory: lower num_workers', last)


@pytest.mark.parametrize('split, number, words', [
    ('val', signal.SIGKILL, 'was killed: SIGKILL, usually by the kernel'),
    ('train', signal.SIGBUS, 'was killed: SIGBUS, usually since shared memory is full: enlarge '
                             '/dev/shm'),
    ('test', None, 'ended with exit status 3')])
def test_in_every_loop(split, number, words, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'killer', raising=False)
    config = killing_config(tmp_path, split, number and int(number))
    work = ['--work-dir', str(tmp_path / 'work')]
    with running_here():
        if split == 'test':
            load_tool('train.py').main([str(config), *work])
            command = ['test.py', str(config), str(tmp_path / 'work/epoch_1.pth'), *work]
        else:
            command = ['train.py', str(config), *work]
        with pytest.raises(SystemExit) as end:
            load_tool(command[0]).main(command[1:])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == 1 and f'{command[0]}: error: the data loading process ' in last
    assert words in last


@pytest.mark.parametrize('cause, words', [
    (RuntimeError('DataLoader worker (pid 12) is killed by signal: Killed. '), 'SIGKILL, usually'),
    (TimeoutError(), 'died, and it is not known of what: dmesg tells whether memory ran out')])
def test_the_signal_is_looked_for_in_what_torch_raises_from(cause, words, capsys):
    """Where the death is noticed by the queue and not by the handler of the signal."""
    with pytest.raises(SystemExit), one_line_errors('train.py'):
        raise RuntimeError('DataLoader worker (pid(s) 12) exited unexpectedly') from cause
    assert f'data loading process 12 {"was killed: " * ("SIG" in words)}{words}' in (
        capsys.readouterr().err)
