"""Values of a config that would let a part do nothing, or harm."""

from pathlib import Path

import pytest

from mtpsl.engine import load_config

ROOT = Path(__file__).parents[2]
PASCAL = str(ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py')
CLIP, GROUPS = 'optim_wrapper.clip_grad', 'optim_wrapper.paramwise_cfg'
NAN = float('nan')


@pytest.mark.parametrize('options, words', [
    ({f'{CLIP}.max_norm': 0}, 'clip_grad.max_norm must be a number above 0, got 0'),
    ({f'{CLIP}.max_norm': -1.0}, 'max_norm must be a number above 0, got -1.0'),
    ({f'{CLIP}.max_norm': NAN}, 'max_norm must be a number above 0, got nan'),
    ({f'{CLIP}.max_nrm': 1}, "clip_grad has no entry 'max_nrm'; it has .*max_norm"),
    ({CLIP: dict(_delete_=True, norm_type=2)}, 'clip_grad has no max_norm'),
    ({CLIP: dict(_delete_=True, type='value', clip_value=0)}, 'clip_value must be a number above'),
    ({f'{CLIP}.type': 'vale'}, "clip_grad.type must be 'norm' or 'value', got 'vale'"),
    ({GROUPS: dict(norm_decay_mul=0.0)}, "paramwise_cfg has no entry 'norm_decay_mul'; it has"),
    ({GROUPS: dict(bias_lr_mult=-1)}, 'bias_lr_mult must be a number of at least 0, got -1'),
    ({GROUPS: dict(custom_keys=dict(neck=dict(lr_mul=1)))}, "neck has no entry 'lr_mul'; it has"),
    ({GROUPS: dict(custom_keys=dict(neck=dict(lr_mult=-1)))}, 'neck.lr_mult must be a number of'),
    ({GROUPS: dict(custom_keys=dict(neck=0.1))}, r'neck must be a dict such as dict\(lr_mult=0.1'),
    ({'param_scheduler.0.eta_min': -1e-6}, 'param_scheduler.0.eta_min must be a number of at l'),
    ({'param_scheduler.0.eta_min': 1e-3}, 'eta_min must not be above the learning rate 2e-05'),
    ({'param_scheduler': [dict(type='CosineAnnealingLR', eta_min_ratio=2, T_max=9)]},
     r'eta_min_ratio must be in \[0, 1\], got 2'),
    ({'val_dataloader.drop_last': True}, 'val_dataloader.drop_last must be False'),
    ({'test_dataloader.num_batch_per_epoch': 1}, 'num_batch_per_epoch must be None: .*max_images'),
    ({'test_dataloader.sampler': dict(type='InfiniteSampler')}, 'test_data.* never ends'),
    ({'val_dataloader.sampler': dict(type='JointSampler')}, 'val_data.* would not be scored'),
    ({'train_dataloader.sampler.type': 'InfiniteSampler'}, 'train_data.* never ends, so that'),
    ({'train_dataloader.shuffle': True}, 'train_dataloader.sampler.shuffle=True says it'),
    ({'train_dataloader.num_batch_per_epoch': 0}, 'num_batch_per_epoch must be an integer of at'),
    ({'model.backbone.frozen_stages': 99}, r'frozen_stages must be an integer from -1 \(none\) to '
     '4, got 99'),
    ({'tasks.semsg': None}, "tasks.semsg=None: there is no task 'semsg' to leave out, only semseg"),
    ({'tasks.semseg': False}, 'tasks.semseg must be a dict with a type, or None .*got False'),
    ({'train_dataloader.dataset.tasks.semseg.values': (1, 0)},
     'train_dataloader.dataset.tasks.semseg has no type: tasks of a part'),
    ({'val_dataloader.dataset.pipeline.0': dict(_delete_=True, type='TestTimeAug',
                                                transforms=[])}, 'no model here merges'),
    ({'tta_model': 3}, 'tta_model must be a dict, got 3'),
    ({'tta_model.scale': (1.0,)}, "tta_model: MultiTaskTTA.*unexpected keyword argument 'scale'"),
    ({'tta_model.scales': 'all'}, 'tta_model: MultiTaskTTA: scales must be')])
def test_a_value_that_cannot_be_right_is_an_error(options, words):
    with pytest.raises((ValueError, KeyError, TypeError), match=words):
        load_config(PASCAL, options)


@pytest.mark.parametrize('options', [
    {CLIP: dict(_delete_=True, type='value', clip_value=1.0)}, {CLIP: None},
    {GROUPS: dict(norm_decay_mult=0.0, bypass_duplicate=True, custom_keys=dict(
        neck=dict(lr_mult=0.0, decay_mult=0, lr=1e-3, eps=1e-7)))},
    {'param_scheduler': [dict(type='CosineAnnealingLR', eta_min_ratio=0.01, T_max=9)]},
    {'param_scheduler.0.eta_min': 1e-7}, {'val_dataloader.drop_last': True,
                                          'val_dataloader.batch_size': 1},
    {'model.backbone.frozen_stages': 4}, {'model.backbone.frozen_stages': -1},
    {'tasks.semseg': None, 'default_hooks.checkpoint': None}])
def test_what_may_be_is_not_refused(options):
    load_config(PASCAL, options)


def test_a_misspelt_task_to_leave_out_is_named_in_a_file_too(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(f'_base_ = {PASCAL!r}\ntasks = dict(semsg=None)')
    with pytest.raises(KeyError, match="there is no task 'semsg' to leave out"):
        load_config(str(path))
    path.write_text(f'_base_ = {PASCAL!r}\ntasks = dict(semseg=None)')
    assert 'semseg' not in load_config(str(path)).tasks


def test_whole_numbers_may_be_written_as_floats():
    cfg = load_config(PASCAL, {'train_dataloader.batch_size': 4.0, 'train_cfg.max_epochs': 1e2})
    assert repr((cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs)) == '(4, 100)'
