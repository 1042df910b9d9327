"""What is refused in a config, and where data sets lie."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest
import torch
from in_process import running_here
from test_engine.config_files import PASCAL, write
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine import build_runner, load_config
from mtpsl.engine.config.schema import accepts
from mtpsl.engine.launch import set_work_dir


def test_the_folder_of_data_sets(monkeypatch):
    monkeypatch.setenv('MTPSL_DATA', '')
    assert load_config(PASCAL).train_dataloader.dataset.data_root == 'data/PASCALContext'
    monkeypatch.setenv('MTPSL_DATA', '/some where')
    assert load_config(PASCAL).train_dataloader.dataset.data_root == '/some where/PASCALContext'
    for folder in ("/it's", 'C:\\data', '~/data', "~/it's"):
        monkeypatch.setenv('MTPSL_DATA', folder)
        with pytest.raises(ValueError, match='MTPSL_DATA must be a path without ~, quotes'):
            load_config(PASCAL)


def test_wrapped_data_sets_and_lists_of_metrics_are_reached(tmp_path):
    cfg = load_config(write(tmp_path, """
train_dataloader = dict(dataset=dict(_delete_=True, type='RepeatDataset', times=2,
    dataset=dict(type='PASCALContext', data_root='x', split='train', pipeline=[])))
val_evaluator = [dict(type='MultiTaskMetric'), dict(type='DumpResults', out_file_path='x.pkl')]
"""))
    assert 'tasks' in cfg.train_dataloader.dataset.dataset
    assert 'tasks' not in cfg.train_dataloader.dataset
    assert 'tasks' in cfg.val_evaluator[0] and 'tasks' not in cfg.val_evaluator[1]


@pytest.mark.parametrize('line, match', [
    ('train_datloader = dict()', "'train_datloader'.*did you mean 'train_dataloader'"),
    ('optim_wraper = dict()', "did you mean 'optim_wrapper'"),
    ('taskss = dict()', "did you mean 'tasks'")])
def test_misspelt_top_level_keys_are_errors(tmp_path, line, match):
    with pytest.raises(KeyError, match=match):
        load_config(write(tmp_path, line))


@pytest.mark.parametrize('line, match', [
    ('optimizer = dict(lr=1.0)', 'of an older format; it is optim_wrapper.optimizer now'),
    ("resume_from = 'x'", 'it is --resume now'),
    ('env_cfg = dict(cudnn_benchmrk=False)', "env_cfg has no entry 'cudnn_benchmrk'"),
    ('auto_scale_lr = dict(base_batchsize=3)', "auto_scale_lr has no entry 'base_batchsize'"),
    ('randomness = dict(sed=3)', "randomness has no entry 'sed'"),
    ('default_hooks = dict(chekpoint=dict(interval=3))', 'default_hooks.chekpoint has no type'),
    ('tasks = dict(semsg=dict(loss_weight=3))', "tasks.semsg has no type.*'semseg'"),
    ("optim_wrapper = dict(optimizer=dict(type='Adm'))", "'Adm', which is no optimizer")])
def test_what_nothing_would_read_is_an_error(tmp_path, line, match):
    with pytest.raises(KeyError, match=match):
        load_config(write(tmp_path, line))


def test_own_variables_are_allowed_in_files_but_not_as_options(tmp_path):
    with pytest.warns(UserWarning, match='own_size'):
        assert load_config(write(tmp_path, 'own_size = (256, 256)')).own_size == (256, 256)
    with pytest.raises(KeyError, match="nothing reads a top-level 'own_size'"):
        load_config(PASCAL, {'own_size': 3})
    with pytest.raises(KeyError, match=r'sets crop_size.*data_preprocessor.size'):
        load_config(write(tmp_path, 'crop_size = (256, 256)'))
    with pytest.raises(KeyError, match="did you mean 'model'"):
        load_config(PASCAL, {'modle.initial_loss_weight': 3})


def test_a_missing_config_is_named():
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        load_config('nowhere.py')


def test_work_dir_by_precedence(tmp_path):
    cfg = load_config(PASCAL)
    set_work_dir(cfg, None)
    assert cfg.work_dir == 'work_dirs/diffusionmtl/pascal_onelabel_r18'
    cfg.work_dir = 'from_config'
    set_work_dir(cfg, None)
    assert cfg.work_dir == 'from_config'
    set_work_dir(cfg, 'from_command')
    assert cfg.work_dir == 'from_command'
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match=f'must be a folder, got the file {tmp_path}/file'):
        set_work_dir(cfg, str(tmp_path / 'file'))


def test_a_misspelt_argument_of_a_part_is_an_error():
    with pytest.raises(TypeError, match=r'model: DiffusionMTL.__init__\(\) got an unexpected '
                       r"keyword .*'initial_los_weight'; it takes backbone, .*initial_loss_weight"):
        load_config(PASCAL, {'model.initial_los_weight': 1.0})


def test_a_task_that_is_none_is_left_out(tmp_path):
    cfg = load_config(PASCAL, {'tasks.semseg': None, 'tasks.normal': None})
    for part in (cfg.model, cfg.train_dataloader.dataset, cfg.val_evaluator, cfg.visualizer):
        assert list(part.tasks) == ['parsing', 'saliency', 'boundary']
    cfg.dump(tmp_path / 'dumped.py')
    assert set(load_config(str(tmp_path / 'dumped.py')).model.tasks) == {
        'parsing', 'saliency', 'boundary'}


def test_without_workers_their_settings_do_not_count():
    cfg = load_config(PASCAL, {'train_dataloader.num_workers': 0,
                               'train_dataloader.prefetch_factor': 4})
    assert not {'persistent_workers', 'prefetch_factor'} & set(cfg.train_dataloader)
    assert load_config(PASCAL).train_dataloader.persistent_workers


def test_dicts_may_be_options():
    cfg = load_config(PASCAL, {'tasks.semseg': dict(loss_weight=2.0),
                               'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.1)})
    assert cfg.model.tasks.semseg.loss_weight == 2.0
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.1)


@pytest.mark.parametrize('option, value, match', [
    ('model', 5, 'model must be .*a dict.*, got 5'),
    ('tasks', ['semseg'], r"tasks must be a dict of name -> dict\(type=...\), got \['semseg'\]"),
    ('train_dataloader', 'x', "train_dataloader must be a dict or None, got 'x'"),
    ('train_dataloader.dataset', 'x', 'train_dataloader.dataset must be a dict with a type'),
    ('train_dataloader.dataset', None, 'train_dataloader has no dataset'),
    ('train_dataloader.drop_last', 'no', 'train_dataloader.drop_last must be True or False, got'),
    ('train_dataloader.num_worker', 2, "train_dataloader has no entry 'num_worker'"),
    ('train_dataloader.worker_init_fn', dict(type='worker_init_fn'),
     'worker_init_fn must be a dict whose type is a function, .*default_collate.*left out'),
    ('train_dataloader.worker_init_fn', len, 'worker_init_fn must be a dict whose type is'),
    ('val_dataloader.collate_fn', dict(type='pseudo'), 'val_dataloader.collate_fn must be a dict'),
    ('val_dataloader.collate_fn', dict(type='stack_alike'), 'write mtpsl.stack_alike'),
    ('default_scope', 'mmseg', "default_scope must be 'mtpsl', got 'mmseg'.*mmseg.ResNet"),
    ('param_scheduler', 'poly', "param_scheduler must be .*a dict or a list.* or None, got 'poly'"),
    ('custom_hooks', 3, 'custom_hooks must be a list.* or None, got 3'),
    ('default_hooks', [1], r'default_hooks must be a dict .*got \[1\]'),
    ('default_hooks.logger', dict(type='LoggerHook', intervals=2), 'default_hooks.logger: '
     r"LoggerHook.__init__\(\) got an unexpected keyword argument 'intervals'"),
    ('default_hooks.logger.interval', 'often', 'default_hooks.logger.interval of LoggerHook must '
     "be a whole number, got 'often'"),
    ('val_evaluator', [3], r'val_evaluator must be a dict or a list of dicts, got \[3\]'),
    ('val_evaluator.per_class', 'x', 'val_evaluator.per_class of MultiTaskMetric must be True or '
     "False, got 'x'"),
    ('env_cfg', 3, 'env_cfg must be a dict, got 3'),
    ('work_dir', 3, 'work_dir must be text, got 3'),
    ('resume', 'yes', "resume must be True or False, got 'yes'"),
    ('train_cfg', 'x', "train_cfg must be a dict or None, got 'x'"),
    ('train_cfg.max_epoch', 3, r'train_cfg: EpochBasedTrainLoop.__init__\(\) got an unexpected'),
    ('train_cfg.type', 'EpochLoop', 'train_cfg.type: EpochLoop is not in the mtpsl::loop registry'),
    ('optim_wrapper.accumulative_counts', 0, 'accumulative_counts must be an integer of at least '
     '1, got 0'),
    ('optim_wrapper.optimizer.beta', 0.5, r"Adam.__init__\(\) got an unexpected keyword .* 'beta'"),
    ('optim_wrapper.optimizer.betas', 0.5, 'optim_wrapper.optimizer.betas of Adam must be a list '
     r'of 2 \(of each: a number.*, got 0.5'),
    ('optim_wrapper.optimizer.weight_decay', float('inf'), 'weight_decay must be a number of at '
     'least 0, got inf'),
    ('val_evaluator', dict(type='mmseg.IoUMetric'), 'val_evaluator.type: mmseg.IoUMetric reads '
     'the samples of mmseg, which have one task; MultiTaskMetric'),
    ('tasks.saliency.loss_weight', float('nan'), 'tasks.saliency.loss_weight must be finite'),
    ('model.neck.out_channel', 3, r'model.neck: MultiScaleFusion.__init__\(\) got an unexpected'),
    ('model.decoder.channels', 'wide', 'model.decoder.channels of TaskDecoders must be a whole '
     "number, got 'wide'"),
    ('optim_wrapper.optimizer', None, 'optimizer of FiniteOptimWrapper must be a dict'),
    ('param_scheduler.0.begin', 'x', "0.begin of PolyLR must be a whole number, got 'x'"),
    ('param_scheduler.0.pwoer', 2, r"param_scheduler.0: PolyLR.__init__\(\) got .* 'pwoer'; it "
     'takes .*begin.*eta_min.*power'),
    ('model.decoder.num_blocks', -1, 'model.decoder.num_blocks of TaskDecoders must not be neg'),
    ('model.data_preprocessor.size', ('a', 'b'), 'model.data_preprocessor.size of MultiTaskData'),
    ('model.data_preprocessor.siez', (9, 9), r"DataPreprocessor.__init__\(\) got .*'siez'"),
    ('model.backbone.depht', 18, r"model.backbone: ResNet.__init__\(\) got .* 'depht'"),
    ('model.backbone.type', 'mmseg.ResNt', 'model.backbone.type: mmseg.ResNt is not in the '),
    ('model.diffusion.condition.detatch', True, r'model.diffusion.condition: .* got an unexpected'),
    ('train_dataloader.dataset.pipeline.2.scale_range', 2, 'pipeline.2: RandomScale: '
     r'scale_range must be \(low, high\) .*got 2'),
    ('train_dataloader.dataset.pipeline.0.type', 'LoadImage', 'pipeline.0.type: LoadImage is not'),
    ('visualizer.vis_backends', [dict(type='TensorboardVisBackend', dir='x')],
     r"visualizer.vis_backends.0: TensorboardVisBackend.__init__\(\) got .*'dir'"),
    ('data_preprocessor.size.0.x', 1, '--cfg-options data_preprocessor.size.0.x: ')])
def test_parts_are_held_against_what_they_build(option, value, match):
    with pytest.raises((TypeError, ValueError, KeyError), match=match):
        load_config(PASCAL, {option: value})


def test_a_config_without_a_default_scope(tmp_path):
    path = write_config(tmp_path / 'config.py', write_images(tmp_path / 'data'))
    cfg = load_config(str(path), {'work_dir': str(tmp_path / 'run'), 'launcher': 'none'})
    cfg._cfg_dict.pop('default_scope')
    with running_here():
        assert build_runner(cfg).default_scope.scope_name == 'mtpsl'


def test_functions_of_a_loader():
    for value in (dict(type='default_collate'), dict(type=len)):
        cfg = load_config(PASCAL, {'train_dataloader.collate_fn': value,
                                   'val_dataloader.worker_init_fn': dict(type=print)})
        assert cfg.train_dataloader.collate_fn == value


def test_bases_in_a_circle(tmp_path):
    (tmp_path / 'a.py').write_text("_base_ = './b.py'")
    (tmp_path / 'b.py').write_text("_base_ = './a.py'")
    with pytest.raises(ValueError, match=r'a.py cannot be read: its _base_ lead back to one of'):
        load_config(str(tmp_path / 'a.py'))


@pytest.mark.parametrize('hint, good, bad', [
    (int, [3, 3.0], [3.5, '3', True, None]), (float, [3, 3.5], ['3', True]),
    (bool, [True], [1, 'x']), (str, ['x'], [1]), (int | None, [None, 3], ['x']),
    (Sequence[str], [['a'], ('a',)], ['a', [1], 3]), (tuple[int, int], [[1, 2]], [[1], [1, 'x']]),
    (tuple[int, ...], [(), (1, 2, 3)], [('x',)]), (Mapping[str, int], [{}, dict(a=1)], [[1], 3]),
    (Literal['a', 'b'], ['a'], ['c']), (dict | Callable, [dict(type='x'), len], ['x', 3]),
    (Any, [3, None], []), (torch.nn.Module, [dict(type='x')], [3, 'x', [1]])])
def test_values_of_annotated_types(hint, good, bad):
    assert all(accepts(value, hint) for value in good)
    assert not any(accepts(value, hint) for value in bad)


def test_a_child_of_a_written_out_config_without_a_model_reaches_its_datasets(tmp_path):
    (tmp_path / 'base.py').write_text("""
tasks = dict(semseg=dict(type='Semseg', class_names=('a', 'b')))
train_dataloader = dict(batch_size=1, sampler=dict(type='SeededSampler'), dataset=dict(
    type='FolderDataset', data_root='x', split='train', pipeline=[], tasks=tasks))
""")
    (tmp_path / 'child.py').write_text(
        "_base_ = 'base.py'\ntasks = dict(semseg=dict(class_names=('a', 'b', 'c')))\n")
    cfg = load_config(str(tmp_path / 'child.py'))
    assert cfg.train_dataloader.dataset.tasks.semseg.class_names == ('a', 'b', 'c')
