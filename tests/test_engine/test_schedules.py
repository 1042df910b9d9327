"""Learning rate schedules against the length of a training."""

import numpy as np
import pytest
import torch
from mmengine.optim import PolyLR

from mtpsl.engine.checkpoints.latest import unfinished
from mtpsl.engine.checks.schedules import Length, rates, schedule_doubts

EPOCHS, STEPS = Length(100, 1000, 10), Length(None, 1000, 10)


@pytest.mark.parametrize('schedules, length, told', [
    ([dict(type='PolyLR', end=101)], EPOCHS, ''),
    ([dict(type='PolyLR', end=100, convert_to_iter_based=True)], EPOCHS, ''),
    ([dict(type='PolyLR', end=100, convert_to_iter_based=True)], STEPS, ''),
    (dict(type='CosineAnnealingLR', T_max=1000, by_epoch=False), EPOCHS, ''),
    ([dict(type='LinearLR', end=5), dict(type='CosineAnnealingLR', begin=5, T_max=95)], EPOCHS, ''),
    ([dict(type='GroupPolyLR', groups=('main',), end=101),
      dict(type='GroupStepLR', groups=('film',), step_size=30)], EPOCHS, ''),
    ([dict(type='mmengine.PolyLR', end=100, by_epoch=False)], EPOCHS,
     'ends after 100 iterations, the training after 1000: the learning rate is 0 in 901 of 1000'),
    ([dict(type='PolyLR', end=100)], EPOCHS, 'is 0 in 1 of 100 epochs; end=101 goes with it'),
    ([dict(type='PolyLR', end=12)], Length(12, 24, 2), 'is 0 in 1 of 12 epochs; end=13 goes'),
    ([dict(type='PolyLR', end=99)], EPOCHS, 'is 0 in 2 of 100 epochs; end=101 goes with it'),
    ([dict(type='PolyLR', convert_to_iter_based=True)], STEPS, 'is 0 in 991 of 1000 iterations'),
    ([dict(type='PolyLR', end=100, eta_min=1e-3)], EPOCHS, ''),
    ([dict(type='CosineAnnealingLR', T_max=1, convert_to_iter_based=True)], Length(2, 24, 12),
     'for the rest the learning rate rises again; T_max=2 goes with it'),
    ([dict(type='CosineAnnealingLR', T_max=99, convert_to_iter_based=True)], EPOCHS, ''),
    ([dict(type='GroupPolyLR', groups=('main', 'regularizer'), end=100),
      dict(type='GroupStepLR', groups=('film',), step_size=30)], EPOCHS,
     'of main, regularizer is 0 in 1 of 100 epochs; end=101'),
    ([dict(type='PolyLR', end=50), dict(type='PolyLR', begin=50, end=101)], EPOCHS,
     'param_scheduler.0 (PolyLR) ends after 50 epochs, the training after 100: the learning rate '
     'is 0 in 51'),
    ([dict(type='LinearLR', start_factor=1.0, end_factor=0, end=100)], EPOCHS, 'is 0 in 1 of 100'),
    (dict(type='CosineAnnealingLR', T_max=60, eta_min=1e-3), EPOCHS, 'rises again; T_max=100'),
    ([dict(type='PolyLR', end=60000)], EPOCHS, 'ends after 60000 epochs, the training after 100'),
    ([dict(type='PolyLR')], EPOCHS, 'ends after 100 epochs'),  # mmengine's runner's default
    ([dict(type='PolyLR', end=10**9)], EPOCHS, 'ends after ever epochs'),
    ([dict(type='PolyLR', end=50, eta_min=1e-3)], EPOCHS, 'the rest the learning rate stays at'),
    ([dict(type='MultiStepLR', milestones=[200, 300])], EPOCHS, 'makes its first step after the 1'),
    ([dict(type='MultiStepLR', milestones=[60, 99])], EPOCHS, ''),
    ([dict(type='MultiStepLR', milestones=[60, 100, 6000])], EPOCHS, '100, 6000 lie after the 100'),
    ([dict(type='StepLR', step_size=100)], EPOCHS, 'makes its first step after the 100 epochs'),
    ([dict(type='StepLR', step_size=100, by_epoch=False)], EPOCHS, ''),
    ([dict(type='LinearLR', begin=100, end=200)], EPOCHS, 'begins after 100 epochs, the training'),
    ([dict(type='LinearLR', start_factor=0.001, end=500)], EPOCHS, 'until 500 epochs, the train'),
    ([dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=500)], EPOCHS, ''),
    ([dict(type='LinearLR', start_factor=1.0, end_factor=0.1, end=100)], EPOCHS, ''),
    ([dict(type='ConstantLR')], EPOCHS, 'below optim_wrapper.optimizer.lr for ever, the training'),
    ([dict(type='OneCycleLR', eta_max=0.1, total_steps=5000, by_epoch=False)], EPOCHS,
     'total_steps=5000, the training 1000 iterations'),
    ([dict(type='OneCycleLR', eta_max=0.1, total_steps=1000, by_epoch=False)], EPOCHS, ''),
    ([dict(type='LinearMomentum', begin=100, end=200)], EPOCHS, ''), (None, EPOCHS, '')])
def test_schedules_that_do_not_go_with_the_training(schedules, length, told):
    found = list(schedule_doubts(schedules, length))
    assert len(found) == bool(told) and told in ''.join(found)


def test_rates_are_those_of_the_published_schedule():
    """lr_k = lr_0 (1 - k / 100)^0.9 in epoch k, and a group that no schedule acts on."""
    course = rates([dict(type='GroupPolyLR', groups=('film',), power=0.9, end=101)], EPOCHS)
    np.testing.assert_allclose(course['film'], (1 - np.arange(100) / 100) ** 0.9)
    assert (course['main'] == 1).all()


@pytest.mark.parametrize('done, told', [(3, True), (6, True), (8, False)])
def test_a_checkpoint_before_the_end_of_its_schedule(done, told, tmp_path):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = PolyLR(optimizer, end=8, by_epoch=False)
    for _ in range(done):
        optimizer.step()
        schedule.step()
    endless = PolyLR(optimizer, by_epoch=False)
    torch.save(dict(state_dict={}, param_schedulers=[endless.state_dict(), schedule.state_dict()]),
               tmp_path / 'a.pth')
    assert ('of 8 iterations of its learning rate' in unfinished(str(tmp_path / 'a.pth'))) == told
