"""Accumulated gradients are those of the large batch, and clipped once, when all are there."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from test_scale.gradients import ALL, batch, freeze_statistics, noise_by_image
from tiny import tiny_model_config
from torch import nn

from mtpsl.registry import MODELS, OPTIM_WRAPPERS

LABELS = [['boundary'], ALL, [], ['semseg', 'normal']]  # by falling gradients
RATE = 0.5
WRAPPERS = ('OptimWrapper', 'FiniteOptimWrapper', 'AutocastOptimWrapper')


@pytest.fixture(scope='module')
def model() -> nn.Module:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mtpsl'):
        built = MODELS.build(tiny_model_config())
    freeze_statistics(built)
    return built


def train(model: nn.Module, wrapper: str, rows: list[slice], max_norm: float | None = None,
          **optimizer: object) -> list[torch.Tensor]:
    """How one update from these micro-batches moves each parameter of a copy of the model."""
    trained = copy.deepcopy(model)
    noise_by_image(trained)
    built = OPTIM_WRAPPERS.build(dict(
        type=wrapper, accumulative_counts=len(rows), clip_grad=max_norm and dict(max_norm=max_norm),
        optimizer=getattr(torch.optim, optimizer.pop('type'))(trained.parameters(), **optimizer)))
    for part in rows:
        data = batch(LABELS, 1, part)
        trained.ids = [sample.img_id for sample in data['data_samples']]
        trained.train_step(data, built)
        if part is not rows[-1]:
            assert all(map(torch.equal, trained.parameters(), model.parameters()))
    return [after.detach() - before.detach()
            for after, before in zip(trained.parameters(), model.parameters())]


def norm(moves: list[torch.Tensor]) -> float:
    return torch.cat([move.flatten() for move in moves]).double().norm().item()


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_four_micro_batches_of_one_move_the_weights_as_one_batch_of_four(model, wrapper):
    """With frozen batch statistics; one micro-batch has no label."""
    whole = [slice(0, 4)]
    micro = [slice(i, i + 1) for i in range(4)]
    free = train(model, wrapper, whole, type='SGD', lr=RATE)
    # bfloat16 products are rounded alike, but the weights' gradients are summed over other rows.
    allowed = 0.02 if wrapper == 'AutocastOptimWrapper' else 1e-4
    for limit in (None, norm(free) / RATE / 3):  # the second one clips
        large, small = (train(model, wrapper, rows, limit, type='SGD', lr=RATE)
                        for rows in (whole, micro))
        difference = [a - b for a, b in zip(large, small)]
        assert norm(difference) < allowed * norm(large)
        if limit:
            # Had each micro-batch been clipped, or the sum before its division by four, the
            # update would not have this length and direction.
            assert norm(small) == pytest.approx(RATE * limit, rel=1e-3)
            assert norm([a / norm(small) - b / norm(free) for a, b in zip(small, free)]) < allowed


def test_adam_makes_one_step_of_an_accumulated_batch(model):
    """By hand: the first step of Adam is the learning rate times the gradient's sign, nearly."""
    rows = [slice(0, 2), slice(2, 4)]
    gradient = train(model, 'FiniteOptimWrapper', [slice(0, 4)], type='SGD', lr=1.0)
    moves = train(model, 'FiniteOptimWrapper', rows, type='Adam', lr=1e-3)
    for move, g in zip(moves, gradient):
        sure = g.abs() > 1e-3  # elsewhere Adam's epsilon or rounding decides
        torch.testing.assert_close(move[sure], 1e-3 * g[sure].sign(), rtol=1e-3, atol=1e-6)
