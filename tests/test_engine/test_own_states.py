"""What hooks, modules, tasks and optimisers of the user's keep that no checkpoint has."""

import random
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from in_process import load_tool, running_here
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from test_faults.tiny_run import write_config, write_images
from tiny import (
    make_samples,
    make_views,
    tiny_hitts_config,
    tiny_model_config,
    tiny_regularized_config,
)

from mtpsl.engine.own_states import OwnStates
from mtpsl.registry import HOOKS, MODELS
from mtpsl.tasks.depth import Depth


class Keeping(Hook):
    def __init__(self, **kept):
        vars(self).update(kept)


class Saving(Keeping):
    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['mine'] = self.losses


def states_of(*hooks, model=None, optimizer=None) -> OwnStates:
    return OwnStates(SimpleNamespace(hooks=hooks, model=model or torch.nn.Identity(),
                                     optim_wrapper=SimpleNamespace(optimizer=optimizer)))


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
    states = states_of(hook, Hook())
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
    states = states_of(hook)
    change(hook)
    assert states.told(hub()) == states.told(hub()) == ''


def test_what_is_in_checkpoints_may_change():
    hook, other, messages = Keeping(losses=[]), Saving(losses=[]), hub()
    states = states_of(hook, other)
    for one in (hook, other):
        one.losses.append(1)
    messages.update_info('of the hook', [1])
    assert states.told(messages) == ''


class OwnModule(torch.nn.Module):
    def __init__(self, **kept):
        super().__init__()
        self.register_buffer('saved', torch.zeros(2))
        self.register_buffer('scale', torch.ones(()), persistent=False)
        self.last, self.maps, self.features = torch.zeros(2), [torch.zeros(2)], dict(a=None)
        vars(self).update(kept)


class Extra(OwnModule):
    def get_extra_state(self):
        return self.history


class Lookahead(torch.optim.SGD):
    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
        self.slow = {}

    def step(self, closure=None):
        for group in self.param_groups:
            for one in group['params']:
                self.slow.setdefault(one, one.detach().clone())
        super().step(closure)
        for one, slow in self.slow.items():
            slow.lerp_(one.detach(), 0.5)


@pytest.mark.parametrize('kept, change', [
    (dict(history=[]), lambda module: module.history.append({'a': 0.5})),
    (dict(rng=torch.Generator()), lambda module: torch.rand(1, generator=module.rng)),
    (dict(count=0), lambda module: setattr(module, 'count', 3)),
    (dict(mean=0.5), lambda module: setattr(module, 'mean', 0.6)),
    (dict(scale=None), lambda module: module.scale.mul_(2))])
def test_states_of_own_modules_are_named(kept, change):
    name, = kept
    module = OwnModule(**{} if name == 'scale' else kept)
    states = states_of(model=torch.nn.Sequential(torch.nn.Linear(2, 2), module))
    module.saved.add_(1)  # in checkpoints
    module.last, module.features = torch.ones(2), dict(a=torch.ones(2))  # computed anew each time
    module.maps.append(torch.ones(2))
    module.eval()
    change(module)
    told = states.told(hub())
    assert told.startswith(f'OwnModule.{name} of your modules changed') and 'saved' not in told
    assert 'get_extra_state' in told and states.told(hub()) == ''
    known = torch.nn.BatchNorm2d(2)
    known.count, extra = 0, Extra(history=[])
    states = states_of(model=torch.nn.Sequential(known, extra))
    known.count = 1
    extra.history.append(1)
    assert states.told(hub()) == ''


class OwnDepth(Depth):
    def __init__(self):
        super().__init__()
        self.mean = torch.zeros(1)


def test_states_of_own_tasks_are_named():
    model = torch.nn.Identity()
    model.tasks = dict(own=OwnDepth(), known=Depth())
    states = states_of(model=model)
    assert model.tasks['known'].label_channels == model.tasks['own'].label_channels
    assert states.told(hub()) == ''
    model.tasks['own'].mean.add_(1)
    assert states.told(hub()).startswith('OwnDepth.mean of your tasks changed during')


def test_states_of_own_optimisers_are_named():
    weights = [torch.nn.Parameter(torch.ones(3))]
    for kind, named in ((Lookahead, True), (torch.optim.Adam, False)):
        optimizer = kind(weights)
        states = states_of(optimizer=optimizer)
        for _ in range(3):
            assert states.told(hub()) == '' or named
            weights[0].grad = torch.ones(3)
            optimizer.step()
            told = states.told(hub())
            if named and told:
                assert told.startswith('Lookahead.slow of your optimisers') and 'self.state' in told
                break
        else:
            assert not named


@pytest.mark.parametrize('config', [
    tiny_model_config(), tiny_model_config('FeatureDiffusion'), tiny_hitts_config(),
    *map(tiny_regularized_config, ('ViewConsistency', 'CrossTaskConsistency'))],
    ids=lambda config: str((config.get('regularizer') or config).get('type')))
def test_models_of_this_package_keep_nothing_beside_checkpoints(config):
    model = MODELS.build(config)
    for module in model.modules():  # as if all of it were the user's
        module.__class__ = type(type(module).__name__, (type(module),), dict(__module__='own'))
    states = states_of(model=model)
    labels = [['semseg', 'normal'], ['boundary']]
    views = getattr(getattr(model, 'regularizer', None), 'num_views', 0)
    for _ in range(2):
        samples = make_views(labels, views) if views else make_samples(labels)
        model.loss(torch.rand(len(samples), 3, 64, 64), samples)
        assert states.told(hub()) == ''


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
