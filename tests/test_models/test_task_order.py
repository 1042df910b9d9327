"""No result depends on the order of a config's dict, and weights of another order find home."""

import copy
import json
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import load_checkpoint
from test_scale.gradients import noise_by_image
from tiny import (
    PASCAL_TASKS,
    make_samples,
    make_views,
    tiny_hitts_config,
    tiny_model_config,
    tiny_regularized_config,
)
from torch import nn

from mtpsl.engine import FiniteOptimWrapper
from mtpsl.engine.checkpoints.content import RUN_KEY, TASKS_KEY, task_order
from mtpsl.engine.checkpoints.fits import check_checkpoint
from mtpsl.engine.checkpoints.optimizer_state import arrange
from mtpsl.models.methods import base
from mtpsl.models.task_order import in_order, layouts
from mtpsl.registry import MODELS

ORDERS = [['boundary', 'normal', 'parsing', 'saliency', 'semseg'],  # as a dumped config has them
          ['saliency', 'semseg', 'normal', 'boundary', 'parsing']]
LABELS = [['semseg', 'normal'], ['boundary'], ['parsing', 'saliency', 'semseg']]


def without_regularizer() -> dict:
    config = tiny_regularized_config('ViewConsistency')
    del config['regularizer']
    return config | dict(type='MultiTaskModel')


CONFIGS = dict(
    baseline=without_regularizer, prediction=tiny_model_config,
    residual=lambda: _residual(tiny_model_config()),
    feature=lambda: tiny_model_config('FeatureDiffusion'),
    attached=lambda: tiny_model_config(detach=False),
    hitts=lambda: tiny_hitts_config(dropout=0.0),
    ss=lambda: tiny_regularized_config('ViewConsistency'),
    xtc=lambda: tiny_regularized_config('CrossTaskConsistency', map_stride=2),
    jtr=lambda: tiny_regularized_config('JointTaskRegularization', map_stride=2))
CHANCE = ('xtc', 'jtr')  # they draw classes by chance, in the order of the tasks
SHARED = ('prediction', 'residual', 'feature', 'attached', 'xtc', 'jtr')  # weights of all tasks


def _residual(config: dict) -> dict:
    config['diffusion']['residual'] = True
    return config


def build(kind: str, order: list[str] | None = None) -> nn.Module:
    torch.manual_seed(0)
    config = copy.deepcopy(CONFIGS[kind]())
    config['tasks'] = {name: dict(PASCAL_TASKS[name]) for name in order or PASCAL_TASKS}
    model = MODELS.build(config)
    model.init_weights()
    return model.to(torch.get_default_dtype())


@pytest.fixture
def as_before() -> Iterator[pytest.MonkeyPatch]:
    """Models of version 1.0 kept the config's order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, 'in_order', dict)
        yield patch


def images(views: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (views * len(LABELS), 3, 64, 64)).astype(np.uint8))


def predict(model: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    with torch.no_grad():
        model.eval()
        data = model.data_preprocessor(
            dict(inputs=list(images(1)), data_samples=make_samples(LABELS)), False)
        return model.prediction_maps(data['inputs'].to(next(model.parameters()).dtype),
                                 data['data_samples'])


def train(model: nn.Module, wrapper: FiniteOptimWrapper, steps: int,
          by_image: bool = True) -> None:
    model.train()
    number = getattr(getattr(model, 'regularizer', None), 'num_views', 1)
    if by_image and hasattr(model, 'diffusion'):  # else it is drawn task by task, in their order
        noise_by_image(model)
        model.ids = [f'image{i}' for i in range(len(LABELS))]
    for step in range(steps):
        torch.manual_seed(step)
        pixels, samples = images(number), make_views(LABELS, number)
        data = dict(inputs=list(pixels), data_samples=samples)
        if number > 1:
            data = dict(inputs=[list(view) for view in pixels.chunk(number)],
                        data_samples=[samples[3 * k:3 * k + 3] for k in range(number)])
        with wrapper.optim_context(model):
            batch = model.data_preprocessor(data, True)
            inputs = batch['inputs'].to(next(model.parameters()).dtype)
            losses = model(inputs, batch['data_samples'], mode='loss')
        wrapper.update_params(model.parse_losses(losses)[0])


def optimizer(model: nn.Module) -> FiniteOptimWrapper:
    return FiniteOptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3, fused=True))


def assert_alike(one: dict, other: dict, **allowed: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            assert_alike(value, other[name], **allowed)
        else:
            torch.testing.assert_close(value, other[name], **dict(rtol=0, atol=0) | allowed,
                                       msg=lambda text, name=name: f'{name}: {text}')


def test_a_parameter_of_a_task_gets_a_zero_gradient_without_a_label() -> None:
    model = build('baseline')
    model.log_variance = nn.ParameterDict({name: torch.ones(()) for name in model.tasks})
    batch = dict(inputs=[torch.zeros(3, 32, 32, dtype=torch.uint8)] * 2,
                 data_samples=make_samples([['semseg'], ['normal']], (32, 32)))
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    for name in ('semseg', 'normal'):
        losses[f'loss_{name}'] *= model.log_variance[name]
    model.parse_losses(losses)[0].backward()
    found = {name: weight.grad for name, weight in model.log_variance.items()}
    assert found['semseg'] > 0 and found['parsing'] == found['boundary'] == 0
    assert model.parts()['log_variance.semseg'] != model.parts()['log_variance.boundary']


def test_the_papers_tasks_come_first_then_others_by_name():
    names = ['z', 'boundary', 'depth', 'a', 'semseg', 'normal']
    assert list(in_order(dict.fromkeys(names))) == ['semseg', 'depth', 'normal', 'boundary', 'a',
                                                    'z']


@pytest.mark.parametrize('kind', CONFIGS)
def test_shuffled_configs_give_the_same_weights_predictions_and_training(kind):
    """Bit for bit, from the random numbers of one seed."""
    found = []
    for order in (None, ORDERS[1]):
        model = build(kind, order)
        assert list(model.shown) == (order or list(PASCAL_TASKS))
        assert list(model.tasks) == list(PASCAL_TASKS)
        before = copy.deepcopy(model.state_dict())
        maps = predict(model)
        wrapper = optimizer(model)
        train(model, wrapper, 2, by_image=False)
        found.append((before, maps, model.state_dict(), wrapper.state_dict()['state']))
    for ours, theirs in zip(*found):
        assert_alike(ours, theirs)


# Whose order it is has nothing to do with the model that then moves its channels.
@pytest.mark.parametrize('kind, told', [
    *((kind, 'by its own order') for kind in CONFIGS),
    ('prediction', 'by the run'), ('prediction', 'by the state dict')])
def test_weights_of_another_order_keep_their_meaning(kind, told, as_before, tmp_path):
    before = build(kind, ORDERS[0])
    expected = predict(before)
    state = before.state_dict()
    state._metadata[''].pop('tasks')
    content = dict(state_dict=state, meta={})
    as_before.undo()
    if told == 'by the run':  # whatever became of the order of the keys
        run = dict(model=dict(tasks=dict.fromkeys(ORDERS[0])), tasks=dict.fromkeys(PASCAL_TASKS))
        content = dict(meta={RUN_KEY: json.dumps(run)}, state_dict=OrderedDict(
            (key, state[key]) for key in build(kind).state_dict()))
        assert task_order(content) == ORDERS[0]
    path = str(tmp_path / 'old.pth')
    torch.save(content if told != 'by the state dict' else state, path)
    model = build(kind, ORDERS[1])
    check_checkpoint(path, model)
    load_checkpoint(model, path, map_location='cpu', strict=True)
    assert_alike(predict(model), expected, rtol=1e-4, atol=1e-5)
    if kind in ('prediction', 'feature', 'attached'):  # else channels meet those of other tasks
        model.load_state_dict({key: state[key] for key in build(kind).state_dict()})
        with pytest.raises(AssertionError):
            assert_alike(predict(model), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def float64(kind: str) -> Iterator[None]:
    """The sums of another order are rounded otherwise."""
    if kind not in CHANCE:
        torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize('kind', CONFIGS)
def test_a_training_of_another_order_goes_on_alike(kind, as_before, float64):
    old = build(kind, ORDERS[1])
    wrapper = optimizer(old)
    train(old, wrapper, 2)
    weights, state = copy.deepcopy((old.state_dict(), wrapper.state_dict()))
    as_before.undo()
    new = build(kind)
    moved = new.rearrangement(weights)
    new.load_state_dict(weights)
    again = optimizer(new)
    again.load_state_dict(arrange(state, again.optimizer, new, moved.names, moved.apply))
    parameters = dict(new.named_parameters())
    for name, parameter in old.named_parameters():
        theirs, ours = wrapper.optimizer.state[parameter], again.optimizer.state[parameters[name]]
        assert_alike(dict(ours), {key: moved.apply(name, value) for key, value in theirs.items()})
    if kind in CHANCE:
        return
    train(old, wrapper, 1)
    train(new, again, 1)
    for name, value in old.state_dict().items():
        torch.testing.assert_close(new.state_dict()[name], moved.apply(name, value), rtol=1e-6,
                                   atol=1e-8, msg=name)


@pytest.mark.parametrize('kind', CONFIGS)
def test_weights_sorted_by_name_are_refused_where_the_order_matters(kind, tmp_path):
    model = build(kind)
    state = dict(sorted(model.state_dict().items()))
    path = str(tmp_path / 'sorted.pth')
    torch.save(dict(state_dict=state, meta={}), path)
    if kind not in SHARED:
        check_checkpoint(path, model)
        return
    with pytest.raises(ValueError, match='sorted.pth: the weights are sorted by name and nothing '
                       f'tells the order .* on which {next(iter(layouts(model, model.tasks)))}'):
        check_checkpoint(path, model)
    with pytest.raises(ValueError, match='sorted by name .*publish.py makes of it'):
        model.load_state_dict(state)
    torch.save(dict(state_dict=state, meta={TASKS_KEY: list(PASCAL_TASKS)}), path)
    expected = predict(model)
    other = build(kind, ORDERS[0])
    load_checkpoint(other, path, map_location='cpu', strict=True)
    assert_alike(predict(other), expected)


def test_an_optimizer_of_other_groups_is_refused():
    model = nn.Linear(2, 1)
    saved = torch.optim.SGD([dict(params=[p]) for p in model.parameters()], lr=1).state_dict()
    one = torch.optim.SGD(model.parameters(), lr=1)
    with pytest.raises(ValueError, match='has 2 groups of parameters, this one 1'):
        arrange(saved, one, model, list, lambda name, value: value)


def test_a_state_of_other_shapes_does_not_reach_the_kernels(tmp_path: Path):
    """Which would read beyond it."""
    models = [nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2)) for width in (3, 4)]
    wrappers = [FiniteOptimWrapper(torch.optim.Adam(model.parameters(), fused=True))
                for model in models]
    wrappers[0].update_params(models[0](torch.ones(1, 2)).sum())
    with pytest.raises(ValueError, match="the optimiser's state is of other parameters than the "
                       r"model's: exp_avg number 0 is \(3, 2\) for \(4, 2\)"):
        wrappers[1].load_state_dict(wrappers[0].state_dict())
