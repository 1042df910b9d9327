"""Hooks that watch a training: weights without a gradient, datasets that change under workers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset
from mmengine.optim import OptimWrapper, OptimWrapperDict
from PIL import Image
from tiny import make_samples, tiny_model_config
from torch.utils.data import DataLoader, Dataset

from mtpsl.datasets import FolderDataset
from mtpsl.engine import GradientCheckHook, ReseedHook, WorkerUpdateHook
from mtpsl.engine.hooks.worker_update_hook import settings_of
from mtpsl.models import MultiTaskModel
from mtpsl.registry import MODELS, TRANSFORMS

LABELLED, UNLABELLED = [['semseg', 'normal'], ['boundary']], [[], []]


class Detached(MultiTaskModel):
    def extract_feat(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().extract_feat(inputs).detach()


class Uncalled(MultiTaskModel):
    """Modules of tasks get zero gradients in batches without a label of theirs."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.refine = torch.nn.ModuleDict({name: torch.nn.Conv2d(3, 3, 1) for name in self.tasks})


@pytest.fixture
def told() -> list[str]:
    return []


def runner_of(told: list[str], **parts: object) -> SimpleNamespace:
    logger = SimpleNamespace(warning=told.append, info=told.append)
    return SimpleNamespace(logger=logger, iter=0, **parts)


def optimiser_of(model: torch.nn.Module) -> OptimWrapper:
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize('kind, named, batches, steps', [
    (Detached, {'backbone', 'neck'}, [UNLABELLED, LABELLED], 1),
    (Detached, {'backbone', 'neck'}, [LABELLED], 200),
    (Uncalled, {'refine.boundary', 'refine.normal', 'refine.semseg'}, [UNLABELLED, LABELLED], 1),
    (MultiTaskModel, set(), [LABELLED], 1), ('DiffusionMTL', set(), [LABELLED], 1)])
def test_weights_that_no_loss_reaches_are_named_once(kind, named, batches, steps, told):
    torch.manual_seed(0)
    config = tiny_model_config()
    model = MODELS.build(config) if kind == 'DiffusionMTL' else kind(
        **{name: part for name, part in config.items()
           if name in ('tasks', 'backbone', 'neck', 'decoder', 'data_preprocessor')})
    still = [part for name, part in model.named_parameters()
             if {name.split('.')[0], '.'.join(name.split('.')[:2])} & named]
    still[:1] = [p.requires_grad_(False) for p in still[:1]]  # which says that it is meant
    hook = GradientCheckHook()
    runner = runner_of(told, model=model, optim_wrapper=optimiser_of(model))
    hook.before_train(runner)
    hook.after_train_epoch(runner)  # of a resumed run that had all its steps
    assert not told
    for labels in batches:
        samples = make_samples(labels)
        hook.before_train_iter(runner, 0, dict(data_samples=samples))
        model.parse_losses(model.loss(torch.rand(2, 3, 64, 64), samples))[0].backward()
        runner.iter = steps - 1
        hook.after_train_iter(runner, 0)
    assert len(told) == (steps == 200)  # or the epoch tells
    for _ in range(2):
        hook.after_train_epoch(runner)
    assert len(told) == bool(named)
    if named:
        parts = told[0].split(': ')[1].split('. A')[0].split(', ')
        assert {part.split(' ')[0] if 'refine' in part else part.split('.')[0]
                for part in parts} == named and f'reached {len(still) - 1} weights' in told[0]
        assert ('decoders' in told[0]) == ('diffusion' in told[0]) == False  # noqa: E712
    assert not any(getattr(p, '_post_accumulate_grad_hooks', None) for p in model.parameters())


def test_weights_that_a_hook_freezes_for_a_while_are_meant(told):
    config = tiny_model_config()
    model = MultiTaskModel(**{name: config[name] for name in (
        'tasks', 'backbone', 'neck', 'decoder', 'data_preprocessor')})
    hook = GradientCheckHook()
    runner = runner_of(told, model=model, optim_wrapper=optimiser_of(model))
    hook.before_train(runner)
    model.backbone.requires_grad_(False)  # a later hook's before_train_epoch
    samples = make_samples(LABELLED)
    hook.before_train_iter(runner, 0, dict(data_samples=samples))
    model.parse_losses(model.loss(torch.rand(2, 3, 64, 64), samples))[0].backward()
    hook.after_train_iter(runner, 0)
    hook.after_train_epoch(runner)
    assert not told


@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('when', ['before_run', 'before_train', 'later'])
def test_weights_that_no_optimiser_has_are_told_once(when, several, told):
    config = tiny_model_config()
    model = MultiTaskModel(**{name: config[name] for name in (
        'tasks', 'backbone', 'neck', 'decoder', 'data_preprocessor')})
    wrapper = optimiser_of(model)
    runner = runner_of(told, model=model, optim_wrapper=OptimWrapperDict(
        all=wrapper) if several else wrapper)
    hook = GradientCheckHook()
    if when == 'before_run':
        model.log_vars = torch.nn.Parameter(torch.zeros(3))
    hook.before_train(runner)
    if when == 'before_train':
        model.neck = MODELS.build(config['neck'])
    batch = dict(data_samples=make_samples(LABELLED))
    hook.before_train_iter(runner, 0, batch)
    hook.after_train_iter(runner, 0)
    assert len(told) == (when != 'later')
    if when == 'later':
        model.neck = MODELS.build(config['neck'])
    for step in range(2):
        hook.before_train_iter(runner, step, batch)
        hook.after_train_iter(runner, step)
    weights = ['log_vars (1)'] if when == 'before_run' else {
        f'neck.{name.split(".")[0]} (' for name, _ in model.neck.named_parameters()}
    assert len(told) == 1 and 'no optimiser has' in told[0]
    assert all(name in told[0] for name in weights)
    if when != 'before_run':  # those that they have replaced are not waited for
        hook._met = set(model.tasks)
        hook.after_train_epoch(runner)
        assert len(told) == 2 and 'neck' not in told[1]


def test_a_step_in_evaluation_mode_is_told_once(told):
    config = tiny_model_config()
    model = MultiTaskModel(**{name: config[name] for name in (
        'tasks', 'backbone', 'neck', 'decoder', 'data_preprocessor')})
    hook = GradientCheckHook()
    runner = runner_of(told, model=model, optim_wrapper=optimiser_of(model))
    batch = dict(data_samples=make_samples(LABELLED))
    model.backbone.eval()  # its BatchNorm may be meant to stand still
    hook.before_train_iter(runner, 0, batch)
    assert not told
    model.eval()
    for _ in range(2):
        hook.before_train_iter(runner, 0, batch)
    assert told == ['the model is in evaluation mode in the training step 1: a hook has called '
                    'eval(), and not train() afterwards']


@pytest.mark.parametrize('seeds', [False, True])
def test_seeding_by_others_is_told_once(seeds, told):
    hook = ReseedHook()
    for step in range(3):
        runner = runner_of(told, seed=2**32 - 1)
        runner.iter = step
        hook.before_train_iter(runner, 0)
        torch.rand(2)
        if seeds and step:
            torch.manual_seed(0)
        hook.after_train_iter(runner, 0)
    assert len(told) == seeds and all('was seeded with 0 in a training step' in t for t in told)


class Switched(Dataset):
    """What a hook may change: a transform's option."""

    def __init__(self) -> None:
        self.pipeline = SimpleNamespace(transforms=[SimpleNamespace(prob=1.0)])
        self.ids = {f'{number}': number for number in range(300)}
        self.table = torch.arange(9)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> float:
        return self.pipeline.transforms[0].prob


def test_each_change_is_seen():
    dataset, seen = Switched(), [settings_of(Switched())]
    for change in (lambda: dataset.ids.update({'7': 0}), lambda: dataset.table.add_(1),
                   lambda: setattr(dataset.pipeline.transforms[0], 'prob', 0.5),
                   lambda: dataset.pipeline.transforms.append(SimpleNamespace(prob=0.5))):
        assert settings_of(dataset) == seen[-1]
        change()
        assert settings_of(dataset) not in seen
        seen.append(settings_of(dataset))


@pytest.mark.parametrize('inside', [False, True])
def test_changes_reach_persistent_workers(inside, told):
    dataset = Switched()
    loader = DataLoader(dataset, num_workers=1, persistent_workers=True)
    hook, runner = WorkerUpdateHook(), runner_of(told, train_dataloader=loader)

    def epoch() -> list[float]:
        if not inside:
            hook.before_train_epoch(runner)
        return [float(value) for value in loader]
    hook.before_train(runner)
    assert epoch() == epoch() == [1, 1] and not told
    dataset.pipeline.transforms[0].prob = 0.0
    if inside:
        assert epoch() == [1, 1]  # the fault: workers hold copies
        for runner.iter in (0, 49):
            hook.after_train_iter(runner, 0)
    assert epoch() == epoch() == [0, 0] and len(told) == 1 and 'was changed' in told[0]


class Mirrored:
    moves = 'image and labels'

    def __init__(self, prob: float) -> None:
        self.prob = prob

    def __call__(self, results: dict) -> dict:
        if np.random.rand() >= self.prob:
            return results
        return results | dict(img=results['img'][:, ::-1].copy())


@pytest.mark.parametrize('workers', [0, 1])
def test_changed_transforms_are_tried_as_at_the_start(workers, tmp_path, told):
    for folder in ('images', 'semseg'):
        (tmp_path / folder).mkdir()
        Image.new('L', (9, 8)).save(tmp_path / folder / '1.png')
    dataset = FolderDataset(
        data_root=str(tmp_path), tasks=dict(semseg=dict(type='Semseg')),
        pipeline=[*map(TRANSFORMS.build, (dict(type='mtpsl.LoadImageFromFile'),
                                          dict(type='mtpsl.LoadLabels'))), Mirrored(0.0)])
    loader = DataLoader(ConcatDataset([dataset]), num_workers=workers,
                        persistent_workers=workers > 0)
    hook, runner = WorkerUpdateHook(), runner_of(told, train_dataloader=loader)
    hook.before_train(runner)
    dataset.title = 'of another name'
    hook.before_train_epoch(runner)
    dataset.pipeline.transforms[-1].prob = 1.0
    with pytest.raises(ValueError, match='of another name: .*Mirrored misaligns image and labels'):
        hook.before_train_epoch(runner)


def test_workers_that_start_anew_by_themselves_are_left_alone(told):
    for options in (dict(num_workers=0), dict(num_workers=1)):
        dataset = Switched()
        hook = WorkerUpdateHook()
        runner = runner_of(told, train_dataloader=DataLoader(dataset, **options))
        hook.before_train(runner)
        dataset.pipeline.transforms[0].prob = 0.0
        hook.before_train_epoch(runner)
    assert not told


def test_workers_end_with_the_run(told):
    loaders = [DataLoader(Switched(), num_workers=1, persistent_workers=True) for _ in range(2)]
    train, val = loaders
    batches = SimpleNamespace(_iterator=iter(train))  # as mmengine's loop of iterations has it
    assert next(batches._iterator) == 1 and list(val) == [1, 1]
    workers = [loader._iterator._workers[0] for loader in loaders]
    assert all(worker.is_alive() for worker in workers)
    runner = runner_of(told, _test_loop=None, _val_loop=SimpleNamespace(dataloader=val),
                       _train_loop=SimpleNamespace(dataloader=train, dataloader_iterator=batches))
    WorkerUpdateHook().after_run(runner)
    assert not any(worker.is_alive() for worker in workers)
