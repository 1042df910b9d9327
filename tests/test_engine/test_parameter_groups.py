"""Parameter groups by name, their schedules against the closed formulas, and training with them."""

import io
import json
import runpy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from mtpsl.data_prep.synthetic import write_scenes
from mtpsl.engine import load_config
from mtpsl.engine.checkpoints.content import SAFE
from mtpsl.engine.optim.parameter_groups import (
    GroupedOptimWrapperConstructor,
    GroupPolyLR,
    GroupStepLR,
)
from mtpsl.registry import PARAM_SCHEDULERS

ROOT = Path(__file__).parents[2]
XTC = ROOT / 'configs/xtc/pascal_onelabel_r18.py'


class Net(nn.Module):
    """Parameters in the places that matter for the groups; one is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(1, 1)
        self.films = nn.Linear(1, 1, bias=False)  # near a name, but not it
        self.regularizer = nn.ModuleDict(dict(
            enter=nn.Linear(1, 1, bias=False),
            film=nn.ModuleList([nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)])))
        self.backbone.bias.requires_grad = False


def grouped(paramwise_cfg: dict, model: nn.Module | None = None, **optimizer: object):
    optimizer = dict(type='SGD', lr=1.0, weight_decay=0.25) | optimizer
    cfg = dict(type='OptimWrapper', optimizer=optimizer)
    return GroupedOptimWrapperConstructor(cfg, paramwise_cfg)(model or Net())


def members(wrapper: OptimWrapper, model: nn.Module) -> dict[str, list[str]]:
    paths = {parameter: path for path, parameter in model.named_parameters()}
    return {group['name']: [paths[parameter] for parameter in group['params']]
            for group in wrapper.optimizer.param_groups}


# ------------------------------------------------------------------ groups


def test_a_group_holds_what_has_its_name_as_a_part_of_the_path():
    model = Net()
    wrapper = grouped(dict(regularizer={}, film={}), model)
    found = members(wrapper, model)
    assert list(found.items()) == [
        ('main', ['backbone.weight', 'films.weight']),
        ('regularizer', ['regularizer.enter.weight']),
        ('film', ['regularizer.film.0.weight', 'regularizer.film.1.weight'])]
    assert members(grouped({'0': {}}, model), model)['0'] == ['regularizer.film.0.weight']


def test_of_several_the_group_that_comes_last_in_the_path_takes_a_parameter():
    """In whatever order they are named: a run's dumped config has its keys sorted."""
    model = Net()
    for names in (('film', '0', '1'), ('1', '0', 'film')):
        with pytest.raises(ValueError, match="the group 'film', but no trained parameter .* is not "
                           'taken by a group whose name comes later in it'):
            grouped(dict.fromkeys(names, {}))
    for names in (('film', '0'), ('0', 'film')):
        found = members(grouped(dict.fromkeys(names, {}), model), model)
        assert list(found.items())[1:] == [('0', ['regularizer.film.0.weight']),
                                           ('film', ['regularizer.film.1.weight'])]
    orders = [members(grouped(dict.fromkeys(names, {}), model), model)
              for names in (('film', 'regularizer'), ('regularizer', 'film'))]
    assert list(orders[0].items()) == list(orders[1].items())


def test_options_are_the_groups_own_and_else_the_optimizers():
    wrapper = grouped(dict(regularizer=dict(weight_decay=0.0), film=dict(lr=0.5, momentum=0.9)))
    assert [(group['name'], group['lr'], group['weight_decay'], group['momentum'])
            for group in wrapper.optimizer.param_groups] == [
        ('main', 1.0, 0.25, 0), ('regularizer', 1.0, 0.0, 0), ('film', 0.5, 0.25, 0.9)]
    assert wrapper.get_lr()['lr'] == [1.0, 1.0, 0.5]  # what is logged is the first: main


def test_each_group_steps_by_its_own_learning_rate():
    model = Net()
    wrapper = grouped(dict(film=dict(lr=0.125)), model, weight_decay=0.0)
    before = {path: parameter.item() for path, parameter in model.named_parameters()}
    wrapper.update_params(sum(model.parameters()).sum())  # every gradient is 1
    moved = {path: before[path] - parameter.item() for path, parameter in model.named_parameters()}
    assert moved == pytest.approx({
        'backbone.weight': 1, 'backbone.bias': 0, 'films.weight': 1, 'regularizer.enter.weight': 1,
        'regularizer.film.0.weight': 0.125, 'regularizer.film.1.weight': 0.125})


@pytest.mark.parametrize('paramwise_cfg, message', [
    (dict(main=dict(lr=1.0)), "paramwise_cfg: 'main' is the group of all other parameters, whose "
     "options are the optimizer's"),
    (dict(film=0.1), r'options of each group, such as film=dict\(lr=1e-3\), got film=0.1'),
    (dict(film=None), 'got film=None'),
    (dict(film=dict(lrr=1.0)), "paramwise_cfg.film has no option 'lrr'; it has .*lr, .*weight_dec"),
    (dict(flim={}), "the group 'flim', but no trained parameter of the model has that as a part"),
    (dict(bias={}), "the group 'bias', but no trained parameter")])  # the only one is frozen
def test_groups_that_make_no_sense(paramwise_cfg, message):
    with pytest.raises(ValueError, match=message):
        grouped(paramwise_cfg)


# ------------------------------------------------------------------ schedules


def xtc(path: Path = XTC, epoch_length: int = 1) -> tuple[OptimWrapper, list]:
    """The optimizer of a config on a small model, and its schedulers."""
    cfg = load_config(str(path))
    with DefaultScope.overwrite_default_scope('mtpsl'):
        wrapper = build_optim_wrapper(Net(), cfg.optim_wrapper)
        return wrapper, [PARAM_SCHEDULERS.build(scheduler, default_args=dict(
            optimizer=wrapper, epoch_length=epoch_length)) for scheduler in cfg.param_scheduler]


def rates(wrapper: OptimWrapper) -> dict[str, float]:
    return {group['name']: group['lr'] for group in wrapper.optimizer.param_groups}


def published(epoch: int) -> dict[str, float]:
    decay = (1 - epoch / 100) ** 0.9
    return pytest.approx(dict(main=2e-5 * decay, regularizer=1e-4 * decay,
                              film=1e-3 * 0.5 ** (epoch // 30)), rel=1e-9)


def test_xtcs_schedules_over_100_epochs():
    wrapper, schedulers = xtc()
    assert [group['weight_decay'] for group in wrapper.optimizer.param_groups] == [1e-6, 0, 0]
    for epoch in range(100):
        assert rates(wrapper) == published(epoch)
        assert wrapper.get_lr()['base_lr'][0] == pytest.approx(rates(wrapper)['main'])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()


def test_jtrs_schedule_is_one_for_both_groups():
    wrapper, (scheduler,) = xtc(ROOT / 'configs/jtr/pascal_onelabel_r18.py')
    for epoch in range(100):
        decay = (1 - epoch / 100) ** 0.9
        assert rates(wrapper) == pytest.approx(dict(main=2e-5 * decay, regularizer=1e-4 * decay))
        wrapper.step()
        scheduler.step()


def test_a_schedule_by_epochs_becomes_one_by_iterations():
    """7 iterations an epoch: lr_0 (1 - k / 41)^0.9 in iteration k of 6 epochs, FiLM by epochs."""
    wrapper, (poly, step) = xtc(ROOT / 'configs/synthetic/xtc_onelabel.py', epoch_length=7)
    assert not poly.by_epoch and step.by_epoch
    for k in range(42):
        decay = 1e-3 * (1 - k / 41) ** 0.9
        assert rates(wrapper) == pytest.approx(dict(
            main=decay, regularizer=decay, film=1e-3 * 0.5 ** (k // 14)))
        wrapper.step()
        poly.step()
        if k % 7 == 6:
            step.step()

    halved = GroupStepLR.build_iter_from_epoch(
        optimizer := grouped(dict(film={})), groups=['film'], step_size=2, gamma=0.5, begin=1,
        end=5, epoch_length=7)
    for k in range(42):  # acts from iteration 7 to 34, each 14
        assert rates(optimizer) == dict(main=1.0, film=0.5 ** min(max(k - 7, 0) // 14, 1))
        optimizer.step()
        halved.step()


def test_a_schedule_ends_at_its_smallest_learning_rate():
    wrapper = grouped(dict(film={}))
    scheduler = GroupPolyLR(wrapper, ['film'], power=2.0, eta_min=0.2, begin=2, end=7)
    for k in range(10):
        share = 1 - min(max(k - 2, 0), 4) / 4
        assert rates(wrapper) == pytest.approx(dict(main=1.0, film=0.2 + 0.8 * share ** 2))
        wrapper.step()
        scheduler.step()


@pytest.mark.parametrize('build', [
    lambda wrapper: GroupPolyLR(wrapper, ['main', 'flim'], end=3),
    lambda wrapper: GroupStepLR(wrapper, ['flim'], step_size=3)])
def test_a_schedule_of_an_unknown_group(build):
    wrapper = grouped(dict(film={}))
    name = type(build(grouped(dict(flim={}), nn.ModuleDict(dict(flim=nn.Linear(1, 1)))))).__name__
    with pytest.raises(ValueError, match=rf"^{name}: groups names 'flim', the optimizer has "
                       r"\['main', 'film'\]$"):
        build(wrapper)


def test_groups_without_names_are_the_main_one():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = GroupStepLR(optimizer, ['main'], step_size=1, gamma=0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]['lr'] == 0.5


def test_a_schedule_goes_on_from_its_saved_state():
    wrapper, schedulers = xtc()
    for _ in range(37):
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    file = io.BytesIO()
    torch.save([wrapper.state_dict(), *(one.state_dict() for one in schedulers)], file)
    file.seek(0)
    wrapper, schedulers = xtc()
    with torch.serialization.safe_globals(SAFE):
        state, *states = torch.load(file, weights_only=True)
    wrapper.load_state_dict(state)
    for scheduler, saved in zip(schedulers, states):
        scheduler.load_state_dict(saved)
    for epoch in range(37, 100):
        assert rates(wrapper) == published(epoch)
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()


# ------------------------------------------------------------------ training


@pytest.fixture(scope='module')
def train(tmp_path_factory):
    """``train(work_dir, *arguments)``: two epochs of the shrunk config on eight scenes of 64x64."""
    data = tmp_path_factory.mktemp('scenes') / 'PASCALContext'
    write_scenes(data, 'pascal', 8, 1, 64, 64, 0, 1)
    ids = (data / 'ImageSets/Context/train.txt').read_text().split()
    tasks = ('semseg', 'normal', 'saliency', 'boundary', 'parsing')
    (data / 'label_mappings').mkdir()
    (data / 'label_mappings/onelabel.json').write_text(
        json.dumps({image_id: [tasks[k % 5]] for k, image_id in enumerate(ids)}))
    main = runpy.run_path(str(ROOT / 'tools/train.py'))['main']

    def run(work_dir: Path, *arguments: str) -> None:
        main([str(XTC), '--work-dir', str(work_dir), *arguments, '--cfg-options',
              *(f'{split}_dataloader.{option}' for split in ('train', 'val', 'test') for option in (
                  f'dataset.data_root={data}', 'num_workers=0', 'persistent_workers=False')),
              f'experiment_name={work_dir.name}',  # else the second, which the runs may share
              'model.backbone.init_cfg=None', 'model.backbone.stem_channels=8',
              'model.backbone.base_channels=8', 'model.neck.in_channels=(8,16,32,64)',
              'model.neck.out_channels=8', 'model.decoder.channels=8', 'model.decoder.num_blocks=1',
              'model.regularizer.channels=(8,8,16,32,64)', 'model.regularizer.map_stride=2',
              'data_preprocessor.size=(64,64)', 'train_dataloader.batch_size=2',
              'train_dataloader.dataset.pipeline.3.size=(64,64)',
              'train_cfg.max_epochs=2', 'train_cfg.val_begin=99',
              'optim_wrapper.accumulative_counts=2', 'optim_wrapper.clip_grad.max_norm=0.1',
              'param_scheduler.1.step_size=1', 'default_hooks.logger.interval=1'])
    return run


def load(path: Path) -> dict:
    with torch.serialization.safe_globals(SAFE):
        return torch.load(path, weights_only=True)


def test_training_with_groups_goes_on_as_if_it_had_not_stopped(train, tmp_path):
    train(tmp_path / 'whole')
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'whole/epoch_1.pth', tmp_path / 'resumed')
    (tmp_path / 'resumed/last_checkpoint').write_text(str(tmp_path / 'resumed/epoch_1.pth'))
    train(tmp_path / 'resumed', '--resume')
    whole, resumed = (load(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'resumed'))
    groups = [[{key: value for key, value in group.items() if key != 'params'}
               for group in checkpoint['optimizer']['param_groups']]
              for checkpoint in (whole, resumed)]
    assert groups[0] == groups[1] and whole['meta']['iter'] == resumed['meta']['iter'] == 8
    # FiLM's is halved after each epoch here, but for the last, with which its schedule ends.
    assert {group['name']: group['lr'] for group in groups[0]} == pytest.approx(dict(
        main=2e-5 * 0.98 ** 0.9, regularizer=1e-4 * 0.98 ** 0.9, film=5e-4))
    # An update each two of the eight iterations.
    assert {int(state['step']) for state in whole['optimizer']['state'].values()} == {4}
    assert all(torch.equal(value, resumed['state_dict'][name])
               for name, value in whole['state_dict'].items())

    log = [json.loads(line) for path in (tmp_path / 'whole').glob('*/vis_data/scalars.json')
           for line in path.read_text().splitlines()]
    assert [entry['lr'] for entry in log] == pytest.approx(
        [2e-5 * (1 - epoch / 100) ** 0.9 for epoch in range(2) for _ in range(4)])
    norms = [entry['grad_norm'] for entry in log if 'grad_norm' in entry]
    assert norms and min(norms) > 0.1  # so that each update was clipped
