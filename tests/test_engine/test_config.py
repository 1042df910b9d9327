"""Loading configs: shared tasks, misspelt keys, overrides."""

import copy
from collections.abc import Callable

import pytest
from test_engine.config_files import COLOURS, PASCAL, write

from mtpsl.apis.load_model import find_model
from mtpsl.engine import build_runner, load_config
from mtpsl.engine.config.load import check_unchanged
from mtpsl.registry import MODELS


def test_tasks_reach_everything_that_asks_for_them():
    cfg = load_config(PASCAL)
    for part in (cfg.model, cfg.train_dataloader.dataset, cfg.val_dataloader.dataset,
                 cfg.test_dataloader.dataset, cfg.val_evaluator, cfg.test_evaluator,
                 cfg.visualizer):
        assert list(part.tasks) == ['semseg', 'parsing', 'saliency', 'normal', 'boundary']


def test_a_parent_after_its_child_keeps_the_child():
    child = {'optim_wrapper.optimizer.lr': 0.5}
    for options in (child | {'optim_wrapper': dict(accumulative_counts=2)},
                    {'optim_wrapper': dict(accumulative_counts=2)} | child,
                    {'optim_wrapper': dict(optimizer=dict(lr=0.1), accumulative_counts=2)} | child):
        wrapper = load_config(PASCAL, options).optim_wrapper
        assert (wrapper.optimizer.lr, wrapper.accumulative_counts) == (0.5, 2)
    for parent in (dict(optimizer=dict(lr=0.1)), dict(_delete_=True, type='OptimWrapper'), None):
        with pytest.raises(ValueError, match=r'optim_wrapper undoes optim_wrapper\.optimizer\.lr'):
            load_config(PASCAL, child | {'optim_wrapper': parent})


def test_modules_named_on_the_command_line_are_imported(tmp_path, monkeypatch):
    (tmp_path / 'named_there.py').write_text(
        'from mtpsl.models import PredictionDiffusion\n'
        'from mtpsl.registry import MODELS\n\n\n'
        '@MODELS.register_module()\n'
        'class NamedThere(PredictionDiffusion):\n    pass\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))
    (tmp_path / 'broken_there.py').write_text('import os\nimport numpi\n')
    with pytest.raises(ImportError, match=r"cannot be imported: No module named 'numpi' "
                       r'\(.*broken_there.py:2\)'):
        load_config(PASCAL, {'custom_imports': dict(imports=['broken_there'])})
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = '{PASCAL}'\ncustom_imports = dict(imports=['broken_there'])\n")
    with pytest.raises(ImportError, match=r"child.py: a module .*'numpi' \(.*broken_there.py:2\)"):
        load_config(str(child))
    options = {'custom_imports': dict(imports=['named_there']),
               'model.diffusion.type': 'NamedThere'}
    assert load_config(PASCAL, options).model.diffusion.type == 'NamedThere'
    with pytest.raises(ImportError, match='Failed to import not_there'):
        load_config(PASCAL, {'custom_imports': dict(imports=['not_there'])})
    for wrong in (['named_there'], dict(modules=['named_there'])):
        with pytest.raises(ValueError, match='custom_imports must be a dict'):
            load_config(PASCAL, {'custom_imports': wrong})


def test_overridden_tasks_reach_everything(tmp_path):
    cfg = load_config(write(tmp_path, "tasks = dict(_delete_=True, depth=dict(type='Depth'))"))
    assert list(cfg.model.tasks) == list(cfg.test_dataloader.dataset.tasks) == ['depth']
    cfg = load_config(PASCAL, {'tasks.semseg.loss_weight': 3.0})
    assert cfg.model.tasks.semseg.loss_weight == 3.0


def merge(key: str, value: object) -> Callable:
    return lambda cfg: cfg.merge_from_dict({key: value})


@pytest.mark.parametrize(('change', 'told'), [
    (merge('tasks.semseg.absent_iou', 1.0), r'tasks \(semseg\) was changed after load_config'),
    (merge('tasks.semseg.loss_weight', 0.0), r'tasks \(semseg\)'),
    (lambda cfg: setattr(cfg, 'tasks', dict(cfg.tasks, depth=dict(type='Depth'))),
     r'tasks \(depth\)'),
    (merge('data_preprocessor.mean', [0, 0, 0]), r'data_preprocessor\.mean was changed'),
    (lambda cfg: setattr(cfg.data_preprocessor, 'size', (96, 96)), r'preprocessor\.size'),
    (lambda cfg: cfg.data_preprocessor.pop('size'), r'preprocessor\.size'),
    (merge('max_epochs', 50), r'max_epochs was added .* read is train_cfg\.max_epochs'),
    (merge('optimizer', {}), "'optimizer' is of an older format"),
    (lambda cfg: cfg.train_pipeline[1].update(x=0), r'^train_pipeline .*train_dataloader\.dataset'),
    (merge('data_root', '/x'), r'^data_root .* test_dataloader\.dataset\.data_root'),
])
def test_a_change_of_the_top_that_parts_do_not_follow_is_refused(change, told, tmp_path):
    """In a config as written and as a run dumps it, and in a copy of it."""
    dumped = tmp_path / 'dumped.py'
    dumped.write_text(load_config(PASCAL).pretty_text)
    loaded = [load_config(PASCAL), copy.deepcopy(load_config(PASCAL))]
    if not told.startswith('^'):  # of a dumped config it is not known what holds a variable
        loaded.append(load_config(str(dumped)))
    for cfg in loaded:
        check_unchanged(cfg)
        change(cfg)
        for build in (build_runner, find_model):
            with pytest.raises((ValueError, KeyError), match=told):
                build(cfg)


def test_changes_that_act_are_not_refused(tmp_path):
    """In place, of a part, and at both places."""
    cfg = load_config(write(tmp_path, "val_evaluator = dict(tasks=dict(depth=dict(type='Depth')))"))
    cfg.tasks.semseg.loss_weight = 0.5
    cfg.tasks.pop('parsing')
    assert cfg.model.tasks.semseg.loss_weight == 0.5 and 'parsing' not in cfg.model.tasks
    cfg.data_preprocessor.mean = cfg.model.data_preprocessor.mean = (0, 0, 0)
    cfg.model.merge({'backbone': dict(frozen_stages=1)})
    cfg.train_pipeline.pop(1)
    cfg.train_dataloader.dataset.pipeline = cfg.train_pipeline
    cfg.test_dataloader.dataset.data_root = '/x'
    cfg.pop('data_root')
    cfg.work_dir, cfg.launcher = 'x', 'none'
    check_unchanged(cfg)
    cfg.mine = 1
    with pytest.warns(UserWarning, match='mine was added'):
        check_unchanged(cfg)
    assert len(cfg.val_evaluator.tasks) == 1


def test_a_part_s_own_tasks_stay_its_own(tmp_path):
    cfg = load_config(write(tmp_path, "model = dict(tasks=dict(depth=dict(type='Depth')))"))
    assert list(cfg.model.tasks) == ['depth']
    assert len(cfg.val_evaluator.tasks) == 5


def test_the_preprocessor_of_the_data_set_becomes_the_model_s(tmp_path):
    assert load_config(PASCAL).model.data_preprocessor == dict(COLOURS, size=(512, 512))
    cfg = load_config(write(tmp_path, 'data_preprocessor = dict(size=(64, 32))\n'
                                      'model = dict(data_preprocessor=dict(size_divisor=16))'))
    assert cfg.model.data_preprocessor == dict(COLOURS, size=(64, 32), size_divisor=16)
    cfg = load_config(PASCAL, {'model.data_preprocessor.size': (96, 96)})
    assert cfg.model.data_preprocessor == dict(COLOURS, size=(96, 96))
    cfg = load_config(write(tmp_path, 'model = dict(data_preprocessor=dict('
                                      '_delete_=True, size_divisor=16))'))
    assert cfg.model.data_preprocessor == dict(size_divisor=16)
    cfg = load_config(write(tmp_path, 'data_preprocessor = None'))
    assert 'data_preprocessor' not in cfg.model
