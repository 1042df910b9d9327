"""What each recipe sets, held against the numbers that were published for it.

The numbers were read in the papers and in the published code, not in these configs; where a recipe
is not published, the config says whose it is.
"""

from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

from mtpsl.engine import load_config

CONFIGS = Path(__file__).parents[1] / 'configs'

# Released training of DiffusionMTL on PASCAL-Context; HiTTs has the same of NYUD.
TRAINING = {
    'train_cfg.max_epochs': 100, 'train_cfg.val_interval': 10, 'train_dataloader.batch_size': 6,
    'train_dataloader.drop_last': True, 'train_dataloader.sampler.shuffle': True,
    'optim_wrapper.optimizer.type': 'Adam', 'optim_wrapper.optimizer.lr': 2e-5,
    'optim_wrapper.optimizer.weight_decay': 1e-6, 'optim_wrapper.clip_grad.max_norm': 10,
    'optim_wrapper.clip_grad.norm_type': 2, 'param_scheduler.0.power': 0.9,
    'param_scheduler.0.end': 101, 'auto_scale_lr.base_batch_size': 6}
POLY = {'param_scheduler.0.type': 'PolyLR', 'param_scheduler.0.eta_min': 0}
BACKBONE = {
    'model.backbone.depth': 18, 'model.neck.out_channels': 512, 'model.decoder.channels': 512}
BASELINE = {'model.decoder.num_blocks': 6}
DIFFUSION = {
    'model.decoder.num_blocks': 2, 'model.initial_loss_weight': 0.5,
    'model.diffusion.num_blocks': 4, 'model.diffusion.num_heads': 4,
    'model.diffusion.ffn_ratio': 4, 'model.diffusion.head_convs': 3,
    'model.diffusion.channels': 512, 'model.diffusion.schedule.num_steps': 2,
    'model.diffusion.schedule.beta_start': 1e-3, 'model.diffusion.schedule.beta_end': 1e-2,
    'model.diffusion.schedule.beta_schedule': 'scaled_linear',
    'model.diffusion.schedule.sampler': 'ddpm', 'model.diffusion.schedule.noise_scale': 1.0,
    'model.diffusion.condition.detach': True}
METHODS = {
    'diffusionmtl': POLY | DIFFUSION, 'mtl_baseline': POLY | BASELINE,
    'ss': POLY | BASELINE | {'model.regularizer.weight': 1.0},
    # XTC (arXiv:2111.14893): 1e-4 for the mapping; FiLM halved every 30 epochs.
    'xtc': BASELINE | {
        'model.regularizer.feature_weight': 0.5,
        'param_scheduler.0.type': 'GroupPolyLR', 'param_scheduler.1.step_size': 30,
        'param_scheduler.1.gamma': 0.5, 'optim_wrapper.paramwise_cfg.regularizer.lr': 1e-4,
        'optim_wrapper.paramwise_cfg.regularizer.weight_decay': 0.0,
        'optim_wrapper.paramwise_cfg.film.weight_decay': 0.0},
    # JTR (arXiv:2404.01976): distances by 4, reconstructions by 2, Adam 1e-4.
    'jtr': POLY | BASELINE | {
        'model.regularizer.distance_weight': 4.0, 'model.regularizer.reconstruction_weight': 2.0,
        'optim_wrapper.paramwise_cfg.regularizer.lr': 1e-4,
        'optim_wrapper.paramwise_cfg.regularizer.weight_decay': 0.0}}
# XTC's weight c and FiLM's learning rate on NYUD and Cityscapes; there is none of PASCAL: ours.
XTC = {'pascal': (1.0, 1e-3), 'nyud': (2.0, 1e-3), 'cityscapes': (1.0, 1e-5)}
# ATRC's augmentation of PASCAL; MTAN's of NYUD and Cityscapes; SEISM's tolerance of boundaries.
MTAN = {'RandomScaleCrop.scales': (1.0, 1.2, 1.5), 'RandomFlip.prob': 0.5}
DATA = {
    'pascal': ({
        'data_preprocessor.size': (512, 512), 'tasks.semseg.loss_weight': 1,
        'tasks.parsing.loss_weight': 2, 'tasks.saliency.loss_weight': 5,
        'tasks.normal.loss_weight': 10, 'tasks.boundary.loss_weight': 50,
        'tasks.boundary.max_dist': 0.0075}, {
        'RandomScale.scale_range': (0.5, 2.0), 'RandomCrop.size': (512, 512),
        'RandomCrop.balance_task': 'semseg', 'RandomCrop.max_class_ratio': 0.75,
        'RandomFlip.prob': 0.5}),
    'nyud': ({
        'data_preprocessor.size': (288, 384), 'tasks.semseg.loss_weight': 1,
        'tasks.depth.loss_weight': 0.6, 'tasks.normal.loss_weight': 1,
        'tasks.normal.zero_sum_unknown': False}, MTAN),
    'cityscapes': ({
        'data_preprocessor.size': (128, 256), 'tasks.semseg.loss_weight': 1,
        'tasks.depth.loss_weight': 1, 'tasks.depth.type': 'InverseDepth',
        'tasks.depth.divide_when_zoomed': False}, MTAN)}
SETTINGS = {'onelabel': 'onelabel', 'random': 'randomlabels'}
ABLATIONS = {
    'diffusionmtl/pascal_onelabel_r18_wo-diffusion': {
        'model.diffusion.schedule.noise_scale': 0.0},
    'diffusionmtl/pascal_onelabel_r18_wo-cond': {'model.diffusion.condition': None},
    **{f'diffusionmtl/cityscapes_onelabel_r18_steps{steps}': {
        'model.diffusion.schedule.num_steps': steps} for steps in (1, 3, 4, 5)},
    'diffusionmtl/pascal_onelabel_r50': {'model.backbone.depth': 50}}
RECIPES = [(method, data, setting) for method in METHODS for data in DATA for setting in SETTINGS
           if (data, setting) != ('cityscapes', 'random')]


@cache
def loaded(name: str) -> Config:
    return load_config(str(CONFIGS / f'{name}.py'))


def value(cfg: object, key: str) -> object:
    for part in key.split('.'):
        cfg = cfg[int(part)] if part.isdigit() else cfg[part]
    return tuple(cfg) if isinstance(cfg, list) else cfg


def differing(cfg: object, expected: dict) -> dict:
    return {key: value(cfg, key) for key, wanted in expected.items() if value(cfg, key) != wanted}


@pytest.mark.parametrize('method, data, setting', RECIPES)
def test_a_recipe_is_the_published_one(method: str, data: str, setting: str) -> None:
    cfg = loaded(f'{method}/{data}_{setting}_r18')
    keys, steps = DATA[data]
    assert not differing(cfg, TRAINING | BACKBONE | keys | METHODS[method])
    if method == 'xtc':
        assert XTC[data] == (cfg.model.regularizer.weight, cfg.optim_wrapper.paramwise_cfg.film.lr)
    assert not differing(cfg.train_dataloader.dataset, {
        'split': 'train', 'label_mapping': f'label_mappings/{SETTINGS[setting]}.json'})
    pipeline = {step['type']: step for step in cfg.train_dataloader.dataset.pipeline}
    assert not differing(pipeline, steps)
    assert ('PhotoMetricDistortion' in pipeline) == (data == 'pascal')
    assert cfg.test_dataloader.dataset.split == 'val'


@pytest.mark.parametrize('name', ABLATIONS)
def test_an_ablation_changes_what_it_is_called_after(name: str) -> None:
    assert not differing(loaded(name), ABLATIONS[name])


@pytest.mark.parametrize('task, weight', [
    ('semseg', 1), ('parsing', 2), ('saliency', 5), ('normal', 10), ('boundary', 50)])
def test_a_single_task_model_trains_on_its_own_images(task: str, weight: float) -> None:
    cfg = loaded(f'single_task/pascal_onelabel_r18_{task}')
    assert list(cfg.tasks) == [task] and cfg.tasks[task].loss_weight == weight
    assert cfg.train_dataloader.dataset.drop_unlabelled
    assert not differing(cfg, TRAINING | POLY | BACKBONE | BASELINE)


# ---------------------------------------------------------------- HiTTs (arXiv:2411.18823)

HITTS = {
    'model.backbone.depth': 18, 'model.decoder.in_channels': (64, 128, 256, 512),
    'model.decoder.channels': 512, 'model.decoder.head_channels': 256,
    'model.decoder.dilations': (12, 24, 36), 'model.decoder.dropout': 0.5,
    'model.bin_loss_weight': 0.1}
DEPTH = {'nyud': dict(type='DepthBins', low=0.67, high=10.0, num=30),
         'cityscapes': dict(type='DepthBins', low=0.01, high=0.4922, num=50)}
# Its thresholds; that of boundary, 0.99 of |2 p - 1|, as a probability.
THRESHOLDS = {
    'pascal': dict(semseg=0.9, parsing=0.85, saliency=0.7, normal=0.7, boundary=(1 + 0.99) / 2),
    'nyud_onelabel': dict(semseg=0.9, depth=0.85, normal=0.85),
    'nyud_random': dict(semseg=0.9, depth=0.95, normal=0.85),
    'cityscapes': dict(semseg=0.95, depth=0.95)}


@pytest.mark.parametrize('data, setting', [
    (data, setting) for method, data, setting in RECIPES if method == 'ss'])
def test_both_stages_of_hitts_are_the_published_ones(data, setting):
    name = f'hitts/{data}_{setting}_r18'
    keys, steps = DATA['pascal' if data == 'nyud' else data]  # PASCAL's augmentation on NYUD, too
    for cfg in (loaded(name), loaded(f'{name}_stage2')):
        assert not differing(cfg, TRAINING | POLY | HITTS | DATA[data][0])
        pipeline = {step['type']: step for step in cfg.train_dataloader.dataset.pipeline}
        size = (288, 384) if data == 'nyud' else keys['data_preprocessor.size']
        assert not differing(pipeline, steps | (
            {'RandomCrop.size': size} if 'RandomCrop.size' in steps else {}))
        assert cfg.train_dataloader.dataset.label_mapping == (
            f'label_mappings/{SETTINGS[setting]}.json')
        bins = cfg.model.decoder.bins
        assert bins.get('depth') == DEPTH.get(data)
        assert ('normal' in bins) == (data != 'cityscapes')
        assert bins.get('normal', {}).get('num', 40) == 40
    assert cfg.model.teacher == f'work_dirs/{name}'
    pseudo = cfg.model.pseudo
    assert {task: own.threshold for task, own in pseudo.items()} == pytest.approx(
        THRESHOLDS.get(data) or THRESHOLDS[f'{data}_{setting}'])
    assert {task: own.get('weight', 1) for task, own in pseudo.items()} == {
        task: 0.05 if task == 'boundary' else 1 for task in cfg.tasks}
    assert {task for task, own in pseudo.items() if own.get('over') == 'kept'} <= {'boundary'}
