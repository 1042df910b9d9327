"""Loading configs: shared tasks, misspelt keys, overrides."""

from pathlib import Path

import pytest

from mtpsl.engine import load_config
from mtpsl.engine.launch import build_runner, set_work_dir

ROOT = Path(__file__).parents[2]
PASCAL = str(ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py')


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / 'config.py'
    path.write_text(f'_base_ = {PASCAL!r}\n{text}')
    return str(path)


def test_tasks_reach_everything_that_asks_for_them():
    cfg = load_config(PASCAL)
    for part in (cfg.model, cfg.train_dataloader.dataset, cfg.val_dataloader.dataset,
                 cfg.test_dataloader.dataset, cfg.val_evaluator, cfg.test_evaluator,
                 cfg.visualizer):
        assert list(part.tasks) == ['semseg', 'parsing', 'saliency', 'normal', 'boundary']


def test_overridden_tasks_reach_everything(tmp_path):
    cfg = load_config(write(tmp_path, "tasks = dict(_delete_=True, depth=dict(type='Depth'))"))
    assert list(cfg.model.tasks) == list(cfg.test_dataloader.dataset.tasks) == ['depth']
    cfg = load_config(PASCAL, {'tasks.semseg.loss_weight': 3.0})
    assert cfg.model.tasks.semseg.loss_weight == 3.0


def test_a_part_s_own_tasks_stay_its_own(tmp_path):
    cfg = load_config(write(tmp_path, "model = dict(tasks=dict(depth=dict(type='Depth')))"))
    assert list(cfg.model.tasks) == ['depth']
    assert len(cfg.val_evaluator.tasks) == 5


def test_the_preprocessor_of_the_data_set_becomes_the_model_s(tmp_path):
    assert load_config(PASCAL).model.data_preprocessor == dict(size=(512, 512))
    cfg = load_config(write(tmp_path, 'data_preprocessor = dict(size=(64, 32))\n'
                                      'model = dict(data_preprocessor=dict(size_divisor=16))'))
    assert cfg.model.data_preprocessor == dict(size=(64, 32), size_divisor=16)
    cfg = load_config(PASCAL, {'model.data_preprocessor.size': (96, 96)})
    assert cfg.model.data_preprocessor == dict(size=(96, 96))
    cfg = load_config(write(tmp_path, 'model = dict(data_preprocessor=dict('
                                      '_delete_=True, size_divisor=16))'))
    assert cfg.model.data_preprocessor == dict(size_divisor=16)
    cfg = load_config(write(tmp_path, 'data_preprocessor = None'))
    assert 'data_preprocessor' not in cfg.model


def test_overrides_of_a_dumped_config_reach_all_parts(tmp_path):
    load_config(PASCAL).dump(tmp_path / 'dumped.py')
    cfg = load_config(str(tmp_path / 'dumped.py'), {
        'data_preprocessor.size': (64, 64), 'tasks.semseg.loss_weight': 3.0})
    assert cfg.model.data_preprocessor == dict(size=(64, 64))
    for part in (cfg.model, cfg.train_dataloader.dataset, cfg.test_evaluator, cfg.visualizer):
        assert part.tasks.semseg.loss_weight == 3.0
    cfg = load_config(str(tmp_path / 'dumped.py'), {'model.tasks.semseg.loss_weight': 3.0})
    assert cfg.model.tasks.semseg == dict(type='Semseg', loss_weight=3.0)
    assert cfg.test_evaluator.tasks.semseg.loss_weight == 1.0
    # What a part says for itself stays, and its other entries are the shared ones.
    own = write(tmp_path, 'model = dict(data_preprocessor=dict(size_divisor=16))')
    load_config(own).dump(tmp_path / 'own.py')
    cfg = load_config(str(tmp_path / 'own.py'), {'data_preprocessor.size': (64, 64)})
    assert cfg.model.data_preprocessor == dict(size=(64, 64), size_divisor=16)
    deleted = write(tmp_path, 'model = dict(data_preprocessor=dict(_delete_=True, size_divisor=8))')
    load_config(deleted).dump(tmp_path / 'deleted.py')
    assert load_config(str(tmp_path / 'deleted.py')).model.data_preprocessor == dict(
        size_divisor=8)
    write_own = load_config(PASCAL, {'model.data_preprocessor.size': (96, 96)})
    write_own.dump(tmp_path / 'dumped.py')
    cfg = load_config(str(tmp_path / 'dumped.py'), {'data_preprocessor.size': (64, 64)})
    assert cfg.model.data_preprocessor == dict(size=(96, 96))


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
    assert load_config(write(tmp_path, 'crop_size = (256, 256)')).crop_size == (256, 256)
    with pytest.raises(KeyError, match="nothing reads a top-level 'crop_size'"):
        load_config(PASCAL, {'crop_size': 3})
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


def test_a_misspelt_argument_of_a_part_is_an_error(tmp_path):
    cfg = load_config(PASCAL, {'model.initial_los_weight': 1.0, 'work_dir': str(tmp_path)})
    with pytest.raises(TypeError, match='initial_los_weight'):
        build_runner(cfg)
