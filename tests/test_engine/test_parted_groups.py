"""A part of the model that no gradient reaches is left as it is by every optimiser."""

import copy
from collections.abc import Callable

import pytest
import torch
from test_engine.test_optim_wrapper import NoReading
from test_scale.idle_tasks import step_on_ranks
from test_scale.ranks import run_ranks
from tiny import PASCAL_TASKS, make_samples, make_views, tiny_model_config, tiny_regularized_config
from torch import nn

from mtpsl.engine import FiniteOptimWrapper
from mtpsl.engine.optim.parted_groups import _largest
from mtpsl.registry import MODELS

OPTIMIZERS: dict[str, Callable] = dict(
    fused=lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=0.1, fused=True),
    fused_w=lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1, fused=True),
    plain=lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=0.1),
    sgd=lambda p: torch.optim.SGD(p, lr=1e-2, weight_decay=0.1, momentum=0.9))
ALL = list(PASCAL_TASKS)


def model_of(config: dict) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(config)


def step(model: nn.Module, wrapper: FiniteOptimWrapper, labels: list[list[str]]) -> set[str]:
    """Train on such a batch; the parts whose weights did not move."""
    before = {name: p.clone() for name, p in model.named_parameters()}
    views = getattr(getattr(model, 'regularizer', None), 'num_views', 1)
    images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in labels]
    data = dict(inputs=images, data_samples=make_samples(labels))
    if views > 1:
        samples = make_views(labels, views)
        data = dict(inputs=[images] * views,
                    data_samples=[samples[k::1][:len(labels)] for k in range(
                        0, len(samples), len(labels))])
    model.train_step(data, wrapper)
    return still(model, before)


def still(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    parts = model.parts()
    moved = {parts[name] for name, p in model.named_parameters()
             if not torch.equal(p, before[name])}
    return set(parts.values()) - moved


def own(places: list[str], tasks: list[str]) -> set[str]:
    return {f'{place}.{task}' for place in places for task in tasks}


def test_the_largest_value_of_a_gradient_is_its_infinity_norm():
    torch.manual_seed(0)
    dense = torch.randn(4, 3, 2, 5)
    gradients = [dense, dense.contiguous(memory_format=torch.channels_last), dense[:, ::2],
                 -dense[0, 0], torch.tensor(-2.0), torch.zeros(3), torch.tensor([0.0, -1e-40])]
    ours = _largest(gradients)
    assert torch.equal(torch.stack(ours), torch.stack(torch._foreach_norm(gradients, torch.inf)))
    assert ours[-1] != 0  # as small as it may be, it is a gradient
    assert _largest([torch.tensor([1.0, torch.nan, -3.0])])[0].isnan()


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_weights_of_a_task_without_a_label_do_not_move(kind):
    """Nor do its moments and step counters; the first of its labels finds them as they were."""
    model = model_of(tiny_model_config())
    wrapper = FiniteOptimWrapper(OPTIMIZERS[kind](model.parameters()),
                                 clip_grad=dict(max_norm=10))
    assert step(model, wrapper, [ALL, ALL]) == set()
    names = {p: name for name, p in model.named_parameters()}
    before = {names[p]: copy.deepcopy(s) for p, s in wrapper.optimizer.state.items()}
    idle = own(['decoders', 'diffusion.denoiser'], ['parsing', 'saliency', 'boundary'])
    for _ in range(3):
        assert step(model, wrapper, [['semseg'], ['normal', 'semseg']]) == idle
    for p, state in wrapper.optimizer.state.items():
        alike = all(torch.equal(torch.as_tensor(value), torch.as_tensor(before[names[p]][key]))
                    for key, value in state.items() if value is not None)
        assert alike == (model.parts()[names[p]] in idle), names[p]
    assert step(model, wrapper, [['boundary'], []]) == idle - own(
        ['decoders', 'diffusion.denoiser'], ['boundary']) | own(
        ['decoders', 'diffusion.denoiser'], ['semseg', 'normal'])


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_a_batch_without_any_label_moves_nothing(kind):
    model = model_of(tiny_model_config('FeatureDiffusion'))
    wrapper = FiniteOptimWrapper(OPTIMIZERS[kind](model.parameters()))
    step(model, wrapper, [ALL, ALL])
    assert step(model, wrapper, [[], []]) == set(model.parts().values())


def test_what_learns_without_a_label_of_its_own_moves():
    """Through a condition that is not detached, or by an auxiliary objective."""
    attached = model_of(tiny_model_config(detach=False))
    wrapper = FiniteOptimWrapper(OPTIMIZERS['fused'](attached.parameters()))
    assert step(attached, wrapper, [['semseg'], ['semseg']]) == own(
        ['diffusion.denoiser'], ALL[1:])
    regularized = model_of(tiny_regularized_config('JointTaskRegularization', map_stride=2))
    wrapper = FiniteOptimWrapper(OPTIMIZERS['fused'](regularized.parameters()))
    assert step(regularized, wrapper, [['semseg'], ['semseg']]) == set()
    baseline = tiny_regularized_config('ViewConsistency')
    del baseline['regularizer']
    baseline = model_of(baseline | dict(type='MultiTaskModel'))
    wrapper = FiniteOptimWrapper(OPTIMIZERS['fused'](baseline.parameters()))
    assert step(baseline, wrapper, [['semseg'], ['semseg']]) == own(['decoders'], ALL[1:])


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_one_label_in_a_window_of_accumulated_gradients_is_enough(kind):
    model = model_of(tiny_model_config())
    wrapper = FiniteOptimWrapper(OPTIMIZERS[kind](model.parameters()), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 100)
    before = {name: p.clone() for name, p in model.named_parameters()}
    step(model, wrapper, [['semseg'], ['normal']])
    step(model, wrapper, [['semseg'], ['boundary']])
    assert still(model, before) == own(
        ['decoders', 'diffusion.denoiser'], ['parsing', 'saliency'])


def test_parts_make_no_difference_where_everything_learns():
    """Bit for bit torch's own fused Adam, with a learning rate that changes."""
    models = [model_of(tiny_model_config()) for _ in range(2)]
    optimizers = [OPTIMIZERS['fused'](model.parameters()) for model in models]
    wrapper = FiniteOptimWrapper(optimizers[0])
    for number in range(3):
        for optimizer in optimizers:
            optimizer.param_groups[0]['lr'] = 10 ** -(number + 1)
        torch.manual_seed(number)
        step(models[0], wrapper, [ALL, ALL])
        torch.manual_seed(number)
        data = models[1].data_preprocessor(dict(
            inputs=[torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)],
            data_samples=make_samples([ALL, ALL])), True)
        optimizers[1].zero_grad()
        sum(models[1](**data, mode='loss').values()).backward()
        optimizers[1].step()
    for one, other in zip(*(model.parameters() for model in models)):
        assert torch.equal(one, other)


def test_a_label_on_some_rank_moves_a_task_on_all(tmp_path):
    """One on none moves it nowhere; weights stay alike on both ranks."""
    answers = run_ranks(2, step_on_ranks, str(tmp_path))
    assert answers[0] == answers[1]
    assert answers[0] == [(kind, sorted(own(['decoders', 'diffusion.denoiser'],
                                            ['parsing', 'boundary']))) for kind in OPTIMIZERS]


@pytest.mark.parametrize('key, value', [('lr', float('inf')), ('weight_decay', float('inf')),
                                        ('eps', float('nan'))])
def test_options_that_are_not_finite(key, value):
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    optimizer.param_groups[0][key] = value
    with pytest.raises(ValueError, match=f'optim_wrapper.optimizer.{key} must be finite, got'):
        FiniteOptimWrapper(optimizer)


def test_an_optimizer_that_needs_a_closure_is_refused():
    with pytest.raises(ValueError, match='optimizer.type: LBFGS computes the loss several times'):
        FiniteOptimWrapper(torch.optim.LBFGS([torch.zeros(1, requires_grad=True)]))


@pytest.mark.parametrize('kind', ['fused', 'fused_w'])
def test_the_host_reads_no_number_in_an_update(kind):
    model = model_of(tiny_model_config())
    wrapper = FiniteOptimWrapper(OPTIMIZERS[kind](model.parameters()),
                                 clip_grad=dict(max_norm=10))
    data = model.data_preprocessor(dict(
        inputs=[torch.zeros(3, 64, 64, dtype=torch.uint8)] * 2,
        data_samples=make_samples([['semseg'], ['normal']])), True)
    for _ in range(2):
        with wrapper.optim_context(model):
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        with NoReading():
            wrapper.update_params(loss)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_an_update_on_a_gpu_does_not_wait_for_it():
    model = model_of(tiny_model_config()).cuda()
    wrapper = FiniteOptimWrapper(OPTIMIZERS['fused'](model.parameters()),
                                 clip_grad=dict(max_norm=10))
    before = {name: p.clone() for name, p in model.named_parameters()}
    data = model.data_preprocessor(dict(
        inputs=[torch.zeros(3, 64, 64, dtype=torch.uint8)] * 2,
        data_samples=make_samples([['semseg'], ['normal']])), True)
    for number in range(3):
        with wrapper.optim_context(model):
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        torch.cuda.set_sync_debug_mode('error' if number else 'default')
        try:
            wrapper.update_params(loss)
        finally:
            torch.cuda.set_sync_debug_mode('default')
    assert still(model, before) == own(
        ['decoders', 'diffusion.denoiser'], ['parsing', 'saliency', 'boundary'])
