"""What hooks of the user's keep that no checkpoint has."""

import random
from collections import deque

import numpy as np
import pytest
import torch
from in_process import load_tool, running_here
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine.own_hooks import HookStates
from mtpsl.registry import HOOKS


class Keeping(Hook):
    def __init__(self, **kept):
        vars(self).update(kept)


class Saving(Keeping):
    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['mine'] = self.losses


def hub() -> MessageHub:
    return MessageHub('of a test, which nobody else has')


@pytest.mark.parametrize('kept, change', [
    (dict(rng=np.random.default_rng(0)), lambda hook: hook.rng.random()),
    (dict(rng=np.random.RandomState(0)), lambda hook: hook.rng.rand()),
    (dict(rng=random.Random(0)), lambda hook: hook.rng.random()),
    (dict(rng=torch.Generator()), lambda hook: torch.rand(1, generator=hook.rng)),
    (dict(losses=[]), lambda hook: hook.losses.append(0.5)),
    (dict(losses=deque(maxlen=2)), lambda hook: hook.losses.append(0.5)),
    (dict(losses=dict(a=[1])), lambda hook: hook.losses['a'].append(2)),
    (dict(mean=np.zeros(3)), lambda hook: hook.mean.fill(2)),
    (dict(mean=dict(a=torch.zeros(3))), lambda hook: hook.mean['a'].add_(2)),
    (dict(count=0), lambda hook: setattr(hook, 'count', 1))])
def test_what_changes_is_named_once(kept, change):
    hook = Keeping(other=[1, 2], **kept)
    states = HookStates([hook, Hook()])
    assert states.told(hub()) == ''
    change(hook)
    name, = kept
    assert states.told(hub()).startswith(f'Keeping.{name} of your hooks changed during')
    change(hook)
    assert states.told(hub()) == ''


@pytest.mark.parametrize('kept, change', [
    (dict(began=0.0), lambda hook: setattr(hook, 'began', 1e9)),
    (dict(said=False), lambda hook: setattr(hook, 'said', True)),
    (dict(names='a'), lambda hook: setattr(hook, 'names', 'b')),
    (dict(calls=[lambda: 0]), lambda hook: hook.calls.append(len)),
    (dict(), lambda hook: setattr(hook, 'losses', [1]))])  # new: it may be made anew as well
def test_what_may_change(kept, change):
    hook = Keeping(**kept)
    states = HookStates([hook])
    change(hook)
    assert states.told(hub()) == states.told(hub()) == ''


def test_what_is_in_checkpoints_may_change():
    hook, other, messages = Keeping(losses=[]), Saving(losses=[]), hub()
    states = HookStates([hook, other])
    for one in (hook, other):
        one.losses.append(1)
    messages.update_info('of the hook', [1])
    assert states.told(messages) == ''


@HOOKS.register_module()
class NoisyHook(Hook):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rng.random()


def test_a_training_tells_where_it_saves(tmp_path):
    config = write_config(tmp_path / 'config.py', write_images(tmp_path / 'data'),
                          "custom_hooks = [dict(type='NoisyHook')]",
                          'train_cfg = dict(max_epochs=2)')
    with running_here():
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path / 'run')])
    log = max((tmp_path / 'run').glob('*/*.log')).read_text()
    assert log.count('NoisyHook.rng of your hooks changed during the training') == 1
