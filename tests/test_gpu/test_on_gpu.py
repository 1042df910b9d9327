"""On a real GPU: that every method does there what it does on the CPU, which other tests hold.

``MTPSL_TEST_DEVICE=cpu`` runs them against themselves, to try the tests where there is no GPU.
"""

import os
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from test_gpu import cases
from test_gpu.table import CASES, METHODS
from test_tools.conftest import run

from mtpsl.analysis.profiling.metrics import random_maps
from mtpsl.apis.deployment import Deployed, export
from mtpsl.models import DiffusionMTL

DEVICE = os.environ.get('MTPSL_TEST_DEVICE', 'cuda')
CUDA = DEVICE == 'cuda'
if CUDA and not torch.cuda.is_available():
    pytest.skip('needs a GPU', allow_module_level=True)


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """float32 without TensorFloat32, which products of matrices do not use by default."""
    init_default_scope('mtpsl')
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    if not CUDA:
        monkeypatch.setattr(cases, 'pin_memory', lambda batch: batch)


@contextmanager
def waiting_refused():
    if CUDA:
        torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        if CUDA:
            torch.cuda.set_sync_debug_mode('default')


def built(case: str, device: str = DEVICE, training: bool = True, amp: bool = False) -> tuple:
    """A model with the same weights and the same noise on each device, and its optimiser."""
    torch.manual_seed(0)
    model, wrapper = cases.config(case)
    model.to(device).train(training)
    if isinstance(model, DiffusionMTL):
        model.noise.on_cpu = True
        model.training_noise = partial(noise_of_the_cpu, model)
    wrapper.type = 'AutocastOptimWrapper' if amp else 'FiniteOptimWrapper'
    return model, build_optim_wrapper(model, wrapper)


def noise_of_the_cpu(model: DiffusionMTL, initial: dict, rows: dict) -> dict | None:
    torch.manual_seed(7)
    first = next(iter(initial.values()))
    noise = model.noise.for_training(rows, first.shape[-2:], torch.device('cpu'))
    return noise and {name: value.to(first.device) for name, value in noise.items()}


def gradients(case: str, device: str) -> tuple[dict, dict]:
    model, _ = built(case, device)
    data = model.data_preprocessor(cases.loaded(model, 'one'), True)
    losses = model(**data, mode='loss')
    sum(losses.values()).backward()
    return ({name: float(loss.detach()) for name, loss in losses.items()},
            {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None})


def apart(before: dict, now: dict) -> float:
    """The norm of all differences, in that of the first."""
    assert set(before) == set(now)
    return float(sum((before[n] - now[n]).square().sum() for n in now).sqrt()
                 / sum(value.square().sum() for value in before.values()).sqrt())


@pytest.mark.parametrize('case', CASES)
def test_losses_and_gradients_are_those_of_the_cpu(case):
    (cpu, cpu_gradients), (gpu, gpu_gradients) = gradients(case, 'cpu'), gradients(case, DEVICE)
    assert gpu == pytest.approx(cpu, rel=1e-4, abs=1e-6)
    assert apart(cpu_gradients, gpu_gradients) < 1e-2


@pytest.mark.parametrize('case', CASES)
def test_predictions_and_statistics_are_those_of_the_cpu(case):
    found = []
    for device in ('cpu', DEVICE):
        model, _ = built(case, device, training=False)
        with torch.no_grad():
            samples = model.test_step(cases.loaded(model, 'all'))
        found.append({name: (torch.stack([s.pred.get(name) for s in samples]).cpu(),
                             None if task.stats_on_cpu else sum(
                                 task.stats(s.pred.get(name)[None], s.gt.get(name)[None]).cpu()
                                 for s in samples))
                      for name, task in model.tasks.items()})
    for name, (prediction, stats) in found[0].items():
        torch.testing.assert_close(found[1][name][0], prediction, rtol=1e-3, atol=1e-3)
        if stats is not None:
            torch.testing.assert_close(found[1][name][1], stats, rtol=1e-2, atol=5)


@pytest.mark.parametrize('amp', [False, True], ids=['float32', 'bf16'])
@pytest.mark.parametrize('case', METHODS)
def test_steps_wait_for_nothing_and_skip_none(case, amp):
    model, optimiser = built(case, amp=amp)
    if isinstance(model, DiffusionMTL):
        del model.training_noise  # which the test has on the CPU
    for number, labels in enumerate(('all', 'one', 'none', 'one')):
        data = cases.loaded(model, labels, number)
        if number:
            with waiting_refused():
                model.train_step(data, optimiser)
        else:
            model.train_step(data, optimiser)
    assert int(optimiser.skipped_steps) == 0


@pytest.mark.parametrize('case', METHODS)
def test_two_deterministic_runs_are_one(case):
    found = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            model, optimiser = built(case)
            for number in range(3):
                model.train_step(cases.loaded(model, 'one', number), optimiser)
            found.append({name: p.detach().cpu() for name, p in model.named_parameters()})
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_step_with_nan_changes_nothing():
    model, optimiser = built('feature')
    model.train_step(cases.loaded(model, 'all'), optimiser)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = cases.loaded(model, 'all', 1)
    data['data_samples'][0].gt.normal[0, 40, 40] = float('nan')
    model.train_step(data, optimiser)
    assert int(optimiser.skipped_steps) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gradients_lie_as_their_parameters_do():
    """Which the kernels of the fused optimiser need."""
    model, _ = built('feature')
    data = model.data_preprocessor(cases.loaded(model, 'all'), True)
    sum(model(**data, mode='loss').values()).backward()
    for name, p in model.named_parameters():
        if p.grad is not None:
            assert all(a == b for a, b, size in zip(p.stride(), p.grad.stride(), p.shape)
                       if size > 1), name


def test_the_noise_of_an_image_is_the_same_in_any_batch():
    model, _ = built('prediction', training=False)
    model.noise.on_cpu = False
    maps = {name: torch.zeros(3, task.channels, 8, 8, device=DEVICE)
            for name, task in model.tasks.items()}
    first, second = model.test_noise(maps, ['x', 'y', 'z']), model.test_noise(maps, ['q', 'z'])
    assert all(torch.equal(first[name][2], second[name][1]) for name in first)


def test_statistics_wait_for_nothing():
    model, _ = built('mtl', training=False)
    for task in model.tasks.values():
        if not task.stats_on_cpu:
            maps = [m.to(DEVICE) for m in random_maps(task, cases.SIZE)]
            with waiting_refused():
                task.stats(*maps)


def test_a_file_from_the_cpu_runs_there(tmp_path):
    from torch.export.passes import move_to_device_pass
    model, _ = built('prediction', 'cpu', training=False)
    module = Deployed(model)
    example = module.example(1, cases.SIZE)
    export(module, example, tmp_path / 'model.pt2')
    graph = move_to_device_pass(torch.export.load(str(tmp_path / 'model.pt2')), DEVICE)
    with torch.no_grad():
        for ours, theirs in zip(module(*example), graph.module()(*(x.to(DEVICE) for x in example))):
            torch.testing.assert_close(theirs.cpu(), ours, rtol=1e-3, atol=1e-3)


def test_models_of_the_benchmark_train_there_side_by_side(tmp_path):
    done = run('benchmark_synthetic.py', '--out', tmp_path, '--seeds', '1', '--epochs', '1',
               '--train', '8', '--val', '4', '--size', '64', '--channels', '8', '--batch', '2',
               '--settings', 'onelabel', '--jobs', '2', '--methods', 'MTL Baseline', 'one step',
               fresh=True)
    assert '2/2 ' in done.stdout and 'FAILED' not in done.stdout
    logs = [path.read_text() for path in tmp_path.glob('runs/*/log.txt')]
    assert len(logs) == 2 and all(('memory: ' in log) == CUDA for log in logs)
