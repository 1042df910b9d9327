"""Steps that are not finite, against a run in which they never were."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mtpsl.engine import AutocastOptimWrapper, FiniteOptimWrapper
from mtpsl.engine.optim.buffer_snapshot import BufferSnapshot

OPTIMIZERS = dict(
    adam=(torch.optim.Adam, dict(lr=1e-2, weight_decay=1e-3, fused=True)),
    adamw=(torch.optim.AdamW, dict(lr=1e-2, weight_decay=1e-1, fused=True, amsgrad=True)),
    plain_adam=(torch.optim.Adam, dict(lr=1e-2)),
    sgd=(torch.optim.SGD, dict(lr=1e-2, momentum=0.9)),
    fused_sgd=(torch.optim.SGD, dict(lr=1e-2, momentum=0.9, fused=True)))
STEPS = 6
CLIP = dict(max_norm=0.5)
# What goes wrong in a step: (the input's first number, the loss's factor and summand).
FAULTS = dict(nan_input=(float('nan'), 1.0, 0.0), infinite_loss=(None, 1.0, float('inf')),
              infinite_gradient=(None, 3e38, 0.0))


class Net(nn.Module):
    """BatchNorm between two layers, an unused one behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        self.unused = nn.Linear(2, 2)
        self.register_buffer('mask', torch.tensor([float('-inf'), 0.0]))  # is so on purpose

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs).square().mean()


def build(wrapper: type, optimizer: str = 'adam', **options: object) -> tuple[Net, OptimWrapper]:
    torch.manual_seed(0)
    net = Net()
    kind, arguments = OPTIMIZERS[optimizer]
    return net, wrapper(kind(net.parameters(), **arguments), **options)


def inputs(step: int) -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(step))


def train_step(net: Net, wrapper: OptimWrapper, step: int, fault: str | None = None) -> None:
    """One iteration as mmengine's models do it."""
    first, factor, summand = FAULTS.get(fault, (None, 1.0, 0.0))
    batch = inputs(step)
    if first is not None:
        batch[0, 0] = first
    with wrapper.optim_context(net):
        loss = net(batch)
    wrapper.update_params(loss * factor + summand)


def states(net: Net, wrapper: OptimWrapper) -> dict[str, Tensor]:
    """Weights, buffers and the optimiser's state by name."""
    state = {f'{number}.{key}': value
             for number, parts in wrapper.optimizer.state_dict()['state'].items()
             for key, value in parts.items() if isinstance(value, Tensor)}
    return copy.deepcopy(net.state_dict() | state)


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_a_step_that_is_not_finite_never_was(optimizer, fault):
    """Also the first, when the optimiser has no state yet; mmengine's wrapper is the judge."""
    net, wrapper = build(FiniteOptimWrapper, optimizer, clip_grad=dict(CLIP))
    expected_net, expected = build(OptimWrapper, optimizer, clip_grad=dict(CLIP))
    skipped = []
    for step in range(STEPS):
        broken = step in (0, 3, 4)
        train_step(net, wrapper, step, fault if broken else None)
        skipped.append(bool(wrapper.skipped))
        if not broken:
            train_step(expected_net, expected, step)
    assert skipped == [True, False, False, True, True, False]
    assert wrapper.skipped_steps == 3
    assert not any(hasattr(wrapper.optimizer, name) for name in ('found_inf', 'grad_scale'))
    assert_equal(states(net, wrapper), states(expected_net, expected))


def test_bfloat16_skips_too():
    net, wrapper = build(AutocastOptimWrapper)
    for step in range(2):
        train_step(net, wrapper, step)
    before = states(net, wrapper)
    train_step(net, wrapper, 2, 'nan_input')
    assert wrapper.skipped and wrapper.skipped_steps == 1
    assert_equal(states(net, wrapper), before)
    train_step(net, wrapper, 3)
    assert not wrapper.skipped and wrapper.skipped_steps == 1
    assert not torch.equal(net.layers[0].weight, before['layers.0.weight'])


def test_batch_statistics_alone_spoil_a_step():
    """A batch without labels has a finite loss, whatever its images hold."""
    net, wrapper = build(FiniteOptimWrapper)
    train_step(net, wrapper, 0)
    before = states(net, wrapper)
    with wrapper.optim_context(net):
        net(torch.full((5, 4), float('nan')))
        loss = 0 * sum(parameter.sum() for parameter in net.parameters())
    wrapper.update_params(loss)
    assert wrapper.skipped
    after = states(net, wrapper)  # and zeros for the unused layer, which has a gradient here
    assert_equal({name: after[name] for name in before}, before)


def test_one_iteration_spoils_its_window_of_accumulated_gradients():
    """Windows of two; the fourth iteration is bad, so the third counts for nothing either."""
    net, wrapper = build(FiniteOptimWrapper, accumulative_counts=2)
    expected_net, expected = build(OptimWrapper, accumulative_counts=2)
    skipped = []
    for step in range(STEPS):
        train_step(net, wrapper, step, 'nan_input' if step == 3 else None)
        skipped.append(None if wrapper.skipped is None else bool(wrapper.skipped))
        if step not in (2, 3):
            train_step(expected_net, expected, step)
    assert skipped == [None, False, None, True, None, False]
    assert wrapper.skipped_steps == 1
    assert_equal(states(net, wrapper), states(expected_net, expected))


def test_buffers_are_finite_before_the_end_of_a_spoilt_window():
    """There a validation or a checkpoint may come."""
    net, wrapper = build(FiniteOptimWrapper, accumulative_counts=3)
    before = copy.deepcopy(net.state_dict())
    train_step(net, wrapper, 0, 'nan_input')
    assert wrapper.skipped is None and wrapper.scalars == {}
    assert_equal(net.state_dict(), before)
    train_step(net, wrapper, 1)
    assert_equal(net.state_dict(), before)
    train_step(net, wrapper, 2)
    assert wrapper.skipped
    assert_equal(net.state_dict(), before)


@pytest.mark.parametrize('clip', [None, dict(max_norm=0.01, norm_type=2), dict(max_norm=100.0),
                                  dict(max_norm=0.01, norm_type=1),
                                  dict(type='value', clip_value=1e-3)])
def test_gradients_are_clipped_as_in_mmengine_and_their_norm_is_known(clip):
    net, wrapper = build(FiniteOptimWrapper, 'sgd', clip_grad=clip and dict(clip))
    expected_net, expected = build(OptimWrapper, 'sgd', clip_grad=clip and dict(clip))
    order = (clip or {}).get('norm_type', 2)
    for step in range(3):
        twin = copy.deepcopy(net)
        twin(inputs(step)).backward()
        gradients = torch.cat([parameter.grad.flatten() for parameter in twin.layers.parameters()])
        train_step(net, wrapper, step)
        train_step(expected_net, expected, step)
        assert wrapper.scalars['grad_norm'].item() == pytest.approx(
            (gradients.abs() ** order).sum().item() ** (1 / order), rel=1e-5)
    assert_equal(states(net, wrapper), states(expected_net, expected))


class NoReading(TorchDispatchMode):
    """Any number that the host reads from a tensor is an error."""

    def __torch_dispatch__(self, function: object, types: object, args: tuple = (),
                           kwargs: dict | None = None) -> object:
        assert function is not torch.ops.aten._local_scalar_dense.default, 'the host reads a number'
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('wrapper', [FiniteOptimWrapper, AutocastOptimWrapper])
def test_the_host_reads_no_number_in_a_step(wrapper):
    net, wrapper = build(wrapper, clip_grad=dict(CLIP), accumulative_counts=2)
    for step in range(4):
        with NoReading():
            train_step(net, wrapper, step, 'nan_input' if step == 2 else None)
    assert wrapper.skipped_steps == 1
    with pytest.raises(AssertionError, match='the host reads'), NoReading():
        train_step(*build(OptimWrapper, clip_grad=dict(CLIP)), 0)  # mmengine's reads the norm


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_step_on_a_gpu_does_not_wait_for_it():
    net, wrapper = build(FiniteOptimWrapper, clip_grad=dict(CLIP))
    net.cuda()
    batches = [inputs(step).cuda() for step in range(STEPS)]
    batches[3][0, 0] = float('nan')
    for step, batch in enumerate(batches):
        torch.cuda.set_sync_debug_mode('error' if step else 'default')
        try:
            with wrapper.optim_context(net):
                loss = net(batch)
            wrapper.update_params(loss)
        finally:
            torch.cuda.set_sync_debug_mode('default')
    assert wrapper.skipped_steps == 1


@pytest.mark.parametrize(('saved', 'used'), [('plain_adam', 'adam'), ('adam', 'plain_adam')])
def test_a_checkpoint_does_not_decide_the_implementation(saved, used):
    """Fused Adam goes on from a plain one's checkpoint and the other way round, to rounding."""
    net, wrapper = build(FiniteOptimWrapper, saved)
    for step in range(3):
        train_step(net, wrapper, step)
    other_net, other = build(FiniteOptimWrapper, used)
    other_net.load_state_dict(net.state_dict())
    other.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    group = other.optimizer.param_groups[0]
    assert bool(group['fused']) == (used == 'adam')
    assert group['weight_decay'] == OPTIMIZERS[saved][1].get('weight_decay', 0)
    for step in range(3, 6):
        train_step(net, wrapper, step)
        train_step(other_net, other, step, 'nan_input' if step == 3 else None)
        if step == 3:
            train_step(other_net, other, step)
    one, two = states(net, wrapper), states(other_net, other)
    assert one.keys() == two.keys() and one['0.step'] == two['0.step'] == 6
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-5, atol=1e-6)


def test_moments_get_the_memory_layout_of_their_parameters():
    """Fused kernels read both as they lie: another model's layout would mix them up silently."""
    def step(wrapper: FiniteOptimWrapper, weight: torch.Tensor) -> None:
        weight.grad = torch.empty_like(weight).copy_(gradient)
        wrapper.optimizer.step()

    generator = torch.Generator().manual_seed(0)
    start, gradient = (torch.randn(5, 4, 3, 3, generator=generator) for _ in range(2))
    weights, wrappers = [], []
    for layout in (torch.contiguous_format, torch.channels_last):
        weights.append(start.clone().to(memory_format=layout).requires_grad_())
        wrappers.append(FiniteOptimWrapper(torch.optim.Adam([weights[-1]], lr=0.1, fused=True)))
    step(wrappers[0], weights[0])
    with torch.no_grad():
        weights[1].copy_(weights[0])
    wrappers[1].load_state_dict(copy.deepcopy(wrappers[0].state_dict()))
    for wrapper, weight in zip(wrappers, weights):
        step(wrapper, weight)
    torch.testing.assert_close(weights[1].contiguous(), weights[0])


def test_a_checkpoint_of_more_groups_is_refused():
    _, wrapper = build(FiniteOptimWrapper)
    state = copy.deepcopy(wrapper.state_dict())
    state['param_groups'] *= 2
    with pytest.raises(ValueError, match='parameter group'):
        wrapper.load_state_dict(state)


def test_a_snapshot_brings_back_every_buffer():
    net = nn.ModuleDict(dict(low=nn.BatchNorm1d(3), net=Net()))
    net.low.running_mean = net.low.running_mean.to(torch.bfloat16)
    before = copy.deepcopy(dict(net.named_buffers()))
    snapshot = BufferSnapshot(net)
    assert not snapshot.found_inf()
    for buffer in net.buffers():
        buffer.add_(1)
    changed = copy.deepcopy(dict(net.named_buffers()))
    assert not snapshot.found_inf()
    snapshot.restore(torch.tensor(False))
    assert_equal(dict(net.named_buffers()), changed)
    net.low.running_mean[1] = float('inf')
    assert snapshot.found_inf()
    snapshot.restore(torch.tensor(True))
    assert_equal(dict(net.named_buffers()), before)
    BufferSnapshot(nn.Linear(1, 1)).restore(torch.tensor(True))  # nothing to bring back


@pytest.mark.parametrize('option', ['lr', 'weight_decay'])
def test_a_negative_option_of_a_group_is_refused(option):
    net = Net()
    groups = [{'params': list(net.parameters()), option: -0.1}]  # torch takes it
    with pytest.raises(ValueError, match=f'{option} of a group of parameters must be at least 0'):
        FiniteOptimWrapper(torch.optim.SGD(groups, lr=0.1))
