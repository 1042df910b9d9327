"""Losses of all methods: one per sample of each task, and a name of its own for each."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from tiny import (
    PASCAL_TASKS,
    make_samples,
    make_views,
    tiny_hitts_config,
    tiny_model_config,
    tiny_regularized_config,
)
from torch import Tensor

from mtpsl.engine import load_config
from mtpsl.models.methods.losses import LossCheck
from mtpsl.models.regularizers.base import Regularizer
from mtpsl.registry import MODELS
from mtpsl.structures.outputs import shared_loss
from mtpsl.tasks import build_tasks
from mtpsl.tasks.depth import Depth

ROOT = Path(__file__).parents[2]
REGULARIZERS = ('ViewConsistency', 'CrossTaskConsistency', 'JointTaskRegularization')
METHODS = ('MultiTaskModel', 'DiffusionMTL', *REGULARIZERS, 'HiTTs', 'DistilledHiTTs')
LABELS = [['normal', 'boundary'], ['normal'], []]


class Misshapen(Depth):
    """Depth whose losses are of another shape than one per image."""

    def __init__(self, shape: tuple[int, ...], part: str) -> None:
        super().__init__()
        self.shape, self.part = shape, part

    def _as(self, part: str, losses: Tensor) -> Tensor:
        if part != self.part:
            return losses
        return losses.view(-1, *self.shape) if self.shape else losses.mean()

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return self._as('loss', super().loss(logits, label))

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        return self._as('reconstruction_loss', super().reconstruction_loss(output, target, known))


def losses_of(method: str, tmp_path: Path, tasks: dict, labels: list[list[str]]) -> dict:
    torch.manual_seed(0)
    if method in REGULARIZERS:
        model = MODELS.build(tiny_regularized_config(method, tasks))
        samples = make_views(labels, model.regularizer.num_views)
    else:
        config = tiny_hitts_config(tasks) if 'HiTTs' in method else tiny_model_config()
        config['tasks'] = tasks
        if method == 'MultiTaskModel':
            config = {key: own for key, own in config.items() if key != 'diffusion'} | dict(
                type=method)
        if method == 'DistilledHiTTs':
            torch.save(dict(state_dict=MODELS.build(config).state_dict(), meta={}),
                       tmp_path / 'teacher.pth')
            known = load_config('configs/synthetic/hitts_onelabel_stage2.py').model.pseudo
            classes = dict(type='PseudoLabel', threshold=0.0)
            config |= dict(type=method, teacher=str(tmp_path / 'teacher.pth'), pseudo={
                name: None if name == 'depth' else classes if name == 'semseg' else known[name]
                for name in tasks})
        model, samples = MODELS.build(config), make_samples(labels)
    return model(torch.randn(len(samples), 3, 64, 64), samples, mode='loss')


@pytest.mark.parametrize('shape', [(), (1,), (1, 1, 1)], ids=str)
@pytest.mark.parametrize(('method', 'part', 'labels'), [
    ('MultiTaskModel', 'loss', [['depth', 'semseg'], ['depth']]),
    ('ViewConsistency', 'loss', [['semseg'], ['semseg']]),  # on its pseudo-labels alone
    ('JointTaskRegularization', 'reconstruction_loss', [['semseg'], ['depth']])])
def test_a_loss_of_another_shape_is_refused(method: str, part: str, labels: list,
                                            shape: tuple[int, ...], tmp_path: Path) -> None:
    tasks = dict(depth=Misshapen(shape, part), semseg=dict(type='Semseg'))
    with pytest.raises(ValueError, match=f'{part} of the task depth .*one loss per sample'):
        losses_of(method, tmp_path, tasks, labels)


@pytest.mark.parametrize('whose', ['the task', 'PseudoLoss'])
def test_a_pseudo_loss_of_another_shape_is_refused(whose: str, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = build_tasks(dict(semseg=dict(type='Semseg'), saliency=dict(type='Saliency')))
    owner = tasks['semseg'] if whose == 'the task' else MODELS.get('PseudoLabel')
    plain = owner.loss
    monkeypatch.setattr(owner, 'loss', lambda *given: plain(*given)[:, None])
    with pytest.raises(ValueError, match=r'of the task (semseg|saliency) .*\(2,\), got \(2, 1\)'):
        losses_of('DistilledHiTTs', tmp_path, tasks, [['saliency'], ['saliency'], *[['semseg']] * 2]
                  if whose == 'PseudoLoss' else [[], []])


# ---------------------------------------------------------------- names

@pytest.fixture(params=METHODS)
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> set[str]:
    """Keys of the losses of a batch of which some tasks and images have no label."""
    return set(losses_of(request.param, tmp_path, PASCAL_TASKS, LABELS))


def test_no_task_can_have_the_name_of_a_loss(keys: set[str]) -> None:
    assert {'loss_normal', 'loss_boundary', 'loss_zero'} <= keys
    for key in keys - {f'loss_{name}' for name in PASCAL_TASKS}:
        name = key.removeprefix('loss_')
        with pytest.raises(ValueError, match=f"cannot be named '{name}': .*loss_{name} is"):
            build_tasks({name: dict(type='Depth')})


def test_all_methods_are_among_these() -> None:
    kinds = {name: kind for name, kind in MODELS.module_dict.items()
             if inspect.isclass(kind) and kind.__module__.startswith('mtpsl.')}
    methods = {name for name, kind in kinds.items() if kind.__module__.startswith(
        'mtpsl.models.methods.') or issubclass(kind, Regularizer)}
    assert methods - {'RegularizedMTL'} == set(METHODS)


def test_keys_of_losses_have_one_owner() -> None:
    """A literal elsewhere could be the name of a task."""
    literal = re.compile(r"""['"]loss_\w|\bloss_\w+=(?!=)""")
    found = [(path.name, line) for path in (ROOT / 'mtpsl/models').rglob('*.py')
             for line in path.read_text().splitlines() if literal.search(line)]
    assert [line for _, line in found if 'loss_weight' not in line] == []
    with pytest.raises(KeyError, match='SHARED_LOSSES'):
        shared_loss('of_a_new_method')


def test_figures_of_initial_predictions_and_panels_are_no_task() -> None:
    with pytest.raises(ValueError, match="cannot be named 'initial'"):
        build_tasks(dict(initial=dict(type='Depth')))
    with pytest.raises(ValueError, match="cannot be named 'panels': panels is the folder of the"):
        build_tasks(dict(panels=dict(type='Depth')))
    built = build_tasks(dict(zeros=dict(type='Depth'), initial_depth=dict(type='Depth')))
    assert list(built) == ['zeros', 'initial_depth']


def test_an_own_regulariser_replaces_no_loss(monkeypatch: pytest.MonkeyPatch,
                                             tmp_path: Path) -> None:
    monkeypatch.setattr(MODELS.get('CrossTaskConsistency'), 'forward',
                        lambda self, views, rows: dict(loss_normal=torch.zeros(())))
    with pytest.raises(ValueError, match='two losses are called loss_normal'):
        losses_of('CrossTaskConsistency', tmp_path, PASCAL_TASKS, LABELS)


# ---------------------------------------------------------------- the sum

@pytest.mark.parametrize('more, error, told', [
    (lambda losses: {}, '', ''),
    (lambda losses: dict(loss_total=sum(losses.values())), 'loss_total is the sum of the ot', ''),
    (lambda losses: dict(loss=sum(losses.values())), '^loss is the sum of', ''),
    (lambda losses: dict(consistency=2 * losses['loss_depth']), '', 'consistency is logged, and n'),
    (lambda losses: dict(accuracy=losses['loss_depth'].detach()), '', ''),
    (lambda losses: dict(loss_more=losses['loss_depth']), '', '')])  # equal to one of several
def test_what_counts_in_the_sum_is_told_once(more, error, told, warned):
    config = {name: part for name, part in tiny_model_config().items() if name != 'diffusion'}
    model = MODELS.build(config | dict(type='MultiTaskModel'))
    scale = torch.ones((), requires_grad=True)
    losses = dict(loss_depth=2.5 * scale, loss_normal=0.7 * scale, loss_zero=0 * scale,
                  loss_semseg=1.1 * scale)
    losses |= more(losses)
    for _ in range(2):
        if error:
            with pytest.raises(ValueError, match=error):
                model.parse_losses(dict(losses))
        else:
            total = model.parse_losses(dict(losses))[0]
            assert total == sum(value for name, value in losses.items() if 'loss' in name)
    assert [told in one for one in warned] == [True] * bool(told)


def test_a_sum_of_one_loss_is_seen_in_several_steps() -> None:
    """Batches of one image with one label: no step alone tells."""
    check, one = LossCheck(['depth', 'normal']), torch.ones(())
    for value, name in ((0, 'loss_depth'), (2, 'loss_depth'), (3, 'loss_normal')):
        check({name: value * one, 'loss_total': value * one})
    with pytest.raises(ValueError, match='^loss_total is the sum of'):
        check(dict(loss_depth=1.5 * one, loss_total=1.5 * one))
