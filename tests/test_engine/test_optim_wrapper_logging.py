"""The numbers of the log, against those that mmengine's hook notes."""

import json
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

from mtpsl.engine import DeferredInfoHook, FiniteOptimWrapper
from mtpsl.engine.checkpoints.content import SAFE
from mtpsl.engine.hooks import deferred_info_hook
from mtpsl.engine.optim import async_host_copy as host_queue

MEASURED = {'train/time', 'train/data_time'}


class Numbers(Dataset):
    """Ten batches; some are labelled for one task, some for two."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> dict:
        numbers = torch.randn(4, generator=torch.Generator().manual_seed(index))
        return dict(inputs=numbers, data_samples=index)


class Model(BaseModel):
    """Also gives a plain number and an integer tensor to the log."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, inputs: Tensor, data_samples: Tensor, mode: str) -> dict[str, Tensor]:
        losses = self.layer(inputs).square().flatten()
        named = dict(loss_a=losses)
        return named if data_samples[0] % 3 else named | dict(loss_b=losses.bfloat16())

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict]:
        loss, numbers = super().parse_losses(losses)
        return loss, numbers | dict(threshold=0.25, pairs=torch.tensor(len(losses)))


class LateEvent:
    """Stands for a GPU's event: the number is there once it has been waited for."""

    def __init__(self, sent: Tensor, host: Tensor) -> None:
        self.sent, self.host = sent, host

    def synchronize(self) -> None:
        self.host.copy_(self.sent)


def send_late(values: Tensor) -> tuple[Tensor, LateEvent]:
    host = torch.full_like(values, -1)
    return host, LateEvent(values.clone(), host)


def train(work_dir: Path, hook: dict, loop: dict) -> Runner:
    by_epoch = 'max_epochs' in loop
    torch.manual_seed(0)
    optimizer = dict(type='Adam', lr=0.1, fused=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MMLogger, '_instance_dict', MMLogger._instance_dict.copy())
        runner = Runner(
            Model(), str(work_dir), default_scope='mtpsl',
            experiment_name='-'.join(work_dir.parts[-2:]),
            train_dataloader=dict(batch_size=2, dataset=Numbers(), num_workers=0,
                                  collate_fn=dict(type='default_collate'),
                                  sampler=dict(type='DefaultSampler', shuffle=True)),
            randomness=dict(seed=0), train_cfg=loop | dict(val_interval=100),
            optim_wrapper=dict(type='FiniteOptimWrapper', optimizer=optimizer),
            default_hooks=dict(
                runtime_info=hook, logger=dict(type='LoggerHook', interval=2),
                checkpoint=dict(type='CheckpointHook', interval=1 if by_epoch else 3,
                                by_epoch=by_epoch)),
            log_processor=dict(by_epoch=by_epoch, window_size=3))
        runner.train()
    return runner


def histories(hub: dict) -> dict[str, list]:
    return {key: [*zip(*(part.tolist() for part in buffer.data))]
            for key, buffer in hub.items() if key not in MEASURED}


def logged(work_dir: Path) -> list[dict]:
    path, = work_dir.glob('*/vis_data/scalars.json')
    return [{key: value for key, value in json.loads(line).items()
             if f'train/{key}' not in MEASURED} for line in path.read_text().splitlines()]


@pytest.mark.parametrize('loop', [dict(by_epoch=True, max_epochs=2),
                                  dict(by_epoch=False, max_iters=8)])
@pytest.mark.parametrize('late', [False, True])
def test_the_numbers_are_mmengines(late, loop, tmp_path, monkeypatch):
    if late:
        monkeypatch.setattr(host_queue, 'send', send_late)
    ours = train(tmp_path / 'ours', dict(type='DeferredInfoHook'), loop)
    # mmengine's hook knows nothing of the wrapper's numbers.
    after = RuntimeInfoHook.after_train_iter

    def after_train_iter(self: RuntimeInfoHook, runner: Runner, batch_idx: int, data_batch: dict,
                         outputs: dict) -> None:
        after(self, runner, batch_idx, data_batch, runner.optim_wrapper.scalars | outputs)

    monkeypatch.setattr(RuntimeInfoHook, 'after_train_iter', after_train_iter)
    theirs = train(tmp_path / 'theirs', dict(type='RuntimeInfoHook'), loop)
    expected = histories(theirs.message_hub.log_scalars)
    noted = histories(ours.message_hub.log_scalars)
    assert noted == expected
    steps = 10 if 'max_epochs' in loop else 8
    assert len(expected['train/loss']) == len(expected['train/grad_norm']) == steps
    assert 0 < len(expected['train/loss_b']) < steps
    assert {type(value) for value, _ in noted['train/pairs']} == {int}
    assert expected['train/threshold'] == [(0.25, 1)] * steps
    assert logged(tmp_path / 'ours') == logged(tmp_path / 'theirs')
    paths = sorted(path.name for path in (tmp_path / 'theirs').glob('*.pth'))
    assert len(paths) > 1
    for path in paths:  # also in the middle of an epoch, and without a line of the log
        with torch.serialization.safe_globals(SAFE):
            hubs = [torch.load(tmp_path / name / path, weights_only=True)['message_hub']
                    for name in ('ours', 'theirs')]
        assert histories(hubs[0]['log_scalars']) == histories(hubs[1]['log_scalars'])


def test_numbers_of_a_gpu_are_read_one_step_late(monkeypatch):
    monkeypatch.setattr(host_queue, 'send', send_late)
    queue = host_queue.AsyncHostCopy()
    taken = []
    for step in range(4):
        queue.put(torch.tensor(float(step)), f'step {step}')
        taken.append([(value.item(), known) for value, known in queue.get()])
    assert taken == [[], [(0.0, 'step 0')], [(1.0, 'step 1')], [(2.0, 'step 2')]]
    assert [value.item() for value, _ in queue.get(everything=True)] == [3.0]
    assert not list(queue.get(everything=True))


def test_the_hook_does_not_read_a_step_that_is_under_way(monkeypatch):
    """Two transfers for two steps, of all numbers at once; the first is read in the second."""
    sent, events = [], []

    def send(values: Tensor) -> tuple[Tensor, LateEvent]:
        sent.append(values.shape)
        host, event = send_late(values)
        events.append(event)
        return host, event

    monkeypatch.setattr(host_queue, 'send', send)
    hub = []

    class Hub:
        def update_scalar(self, key: str, value: float) -> None:
            hub.append((key, value))

    class Training:
        message_hub = Hub()
        train_dataloader = range(100)
        optim_wrapper = FiniteOptimWrapper(torch.optim.SGD([torch.zeros(1, requires_grad=True)]))
        optim_wrapper.scalars = dict(grad_norm=torch.tensor(3.0))

    hook = DeferredInfoHook()
    hook._loggers = []
    for step in range(2):
        hook.after_train_iter(Training, step, {}, dict(loss=torch.tensor([float(step)])))
        assert hub == ([] if step == 0 else [('train/grad_norm', 3.0), ('train/loss', 0.0)])
    assert sent == [(2,), (2,)]
    assert deferred_info_hook.AsyncHostCopy is host_queue.AsyncHostCopy


def test_losses_stand_in_one_order():
    """That of the config's tasks, then the method's own; other numbers stay where they are."""
    hub = SimpleNamespace(log_scalars=OrderedDict.fromkeys([
        'train/lr', 'train/loss_a_b', 'train/loss_xtc', 'train/loss_a_b_initial', 'train/time',
        'train/loss_z', 'train/loss', 'train/loss_a', 'train/loss_z_initial']))
    deferred_info_hook._sort_losses(SimpleNamespace(
        message_hub=hub, model=SimpleNamespace(shown=dict.fromkeys(['z', 'a', 'a_b']))))
    assert list(hub.log_scalars) == [
        'train/lr', 'train/time', 'train/loss', 'train/loss_z', 'train/loss_z_initial',
        'train/loss_a', 'train/loss_a_b', 'train/loss_a_b_initial', 'train/loss_xtc']


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_numbers_of_a_gpu_arrive():
    queue = host_queue.AsyncHostCopy()
    for step in range(50):
        queue.put(torch.full((3,), float(step), device='cuda'), step)
        for value, known in queue.get():
            assert value.tolist() == [known] * 3
    assert [known for _, known in queue.get(everything=True)] == [49]
