"""Every config of the tree builds its model, and runs what it says."""

import functools
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from tiny import make_views, shrink

from mtpsl.data_prep import layouts
from mtpsl.engine import load_config
from mtpsl.engine.config.dataset_tree import leaves
from mtpsl.registry import METRICS, MODELS, PARAM_SCHEDULERS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py')
                 if '_base_' not in path.parts)


def test_there_are_configs():
    names = {str(path.relative_to(ROOT / 'configs')) for path in CONFIGS}
    assert {f'diffusionmtl/pascal_{setting}_r18{variant}.py' for setting in ('onelabel', 'random')
            for variant in ('', '_feature')} <= names
    real = {f'{data}_r18{variant}.py' for data in ('nyud_onelabel', 'nyud_random',
                                                   'cityscapes_onelabel')
            for variant in ('', '_feature')}
    assert {f'diffusionmtl/{name}' for name in real} <= names
    assert {f'synthetic/diffusionmtl_{name.replace("_r18", "")}' for name in real} <= names


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: str(p.relative_to(ROOT / 'configs')))
def test_the_config_s_model_trains_and_is_tested(path, tmp_path):
    """One step of every config by its own optimiser, groups and schedule, then its evaluator."""
    cfg = load_config(str(path))
    shrink(cfg.model)
    if 'map_stride' in cfg.model.get('regularizer', {}):
        cfg.model.regularizer.map_stride = 1  # the images are small
    model = MODELS.build(cfg.model)
    if 'teacher' in cfg.model:
        model.teacher = str(tmp_path / 'teacher.pth')
        torch.save(dict(state_dict=model.state_dict()), model.teacher)
    first, second = (list(cfg.tasks) * 2)[:2]
    semseg = model.tasks.get('semseg')
    samples = make_views([[first], [second]], getattr(getattr(model, 'regularizer', None),
                                                      'num_views', 1),
                         semseg_classes=semseg and len(semseg.palette))
    losses = model(torch.randn(len(samples), 3, 64, 64), samples, mode='loss')
    total = sum(losses.values())
    assert torch.isfinite(total) and total > 0
    assert {f'loss_{first}', f'loss_{second}'} <= set(losses)
    assert ('loss_zero' in losses) == (len(cfg.tasks) > 2)

    with DefaultScope.overwrite_default_scope('mtpsl'):
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for scheduler in cfg.param_scheduler:
        kind = PARAM_SCHEDULERS.get(scheduler.type)
        if scheduler.pop('convert_to_iter_based', False):
            kind = functools.partial(kind.build_iter_from_epoch, epoch_length=10)
        kind(optimizer=wrapper, **{k: v for k, v in scheduler.items() if k != 'type'})
    before = [parameter.detach().clone() for parameter in model.parameters()]
    wrapper.update_params(total)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    moved = sum(not torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert moved > len(before) / 3  # of a task without labels only the weight decay moves any

    model.eval()
    metric = METRICS.build(dict(cfg.test_evaluator, workers=0))
    with torch.no_grad():
        tested = model(torch.randn(2, 3, 64, 64), samples[:2], mode='predict')
    metric.process({}, [sample.to_dict() for sample in tested])
    scores = metric.evaluate(len(tested))
    for name in {first, second}:
        assert scores[f'{name}/{model.tasks[name].primary_metric}'] >= 0


def test_what_the_variants_state():
    def diffusion(name: str) -> dict:
        return load_config(str(ROOT / f'configs/diffusionmtl/{name}.py')).model.diffusion

    assert diffusion('pascal_random_r18').type == 'PredictionDiffusion'
    assert diffusion('pascal_random_r18').condition.type == 'ProjectedCondition'
    assert diffusion('pascal_onelabel_r18_feature').type == 'FeatureDiffusion'
    assert diffusion('pascal_onelabel_r18_feature').condition.type == 'ConcatenatedCondition'


def test_the_released_training_recipe():
    cfg = load_config(str(ROOT / 'configs/diffusionmtl/pascal_random_r18.py'))
    assert cfg.train_cfg.max_epochs == 100 and cfg.train_dataloader.batch_size == 6
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=2e-5, weight_decay=1e-6,
                                           fused=True)
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    diffusion = cfg.model.diffusion
    assert diffusion.schedule == dict(num_steps=2, beta_start=1e-3, beta_end=1e-2, noise_scale=1.0,
                                      beta_schedule='scaled_linear', sampler='ddpm')
    assert diffusion.condition.detach and cfg.model.initial_loss_weight == 0.5
    assert (diffusion.num_blocks, diffusion.num_heads, diffusion.ffn_ratio) == (4, 4, 4)
    pipeline = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert pipeline['RandomScale'].scale_range == (0.5, 2.0)
    assert pipeline['RandomCrop'].size == (512, 512)
    assert pipeline['RandomCrop'].max_class_ratio == 0.75
    weights = {name: task.loss_weight for name, task in cfg.tasks.items()}
    assert weights == dict(semseg=1, parsing=2, saliency=5, normal=10, boundary=50)


@pytest.mark.parametrize('setting', ['onelabel', 'random'])
def test_nyud_s_other_augmentation_is_pascal_s_chain_at_its_size(setting):
    def steps(name):
        pipeline = load_config(str(ROOT / f'configs/diffusionmtl/{name}.py')).train_dataloader
        return [dict(step) for step in pipeline.dataset.pipeline]

    pascal = steps(f'pascal_{setting}_r18')
    pascal[3]['size'] = (288, 384)
    assert steps(f'nyud_{setting}_r18_scale-crop') == pascal
    assert [step['type'] for step in steps(f'nyud_{setting}_r18')] == [
        'LoadImageFromFile', 'LoadLabels', 'RandomScaleCrop', 'RandomFlip', 'PackMultiTaskInputs']


@pytest.mark.parametrize('setting, figures', [
    ('pascal_onelabel', (50.34, 59.05, 77.43, 16.59, 64.40)),
    ('pascal_random', (51.51, 57.90, 80.30, 15.24, 67.80)),
    ('nyud_onelabel', (45.28, 0.4802, 25.93)), ('nyud_random', (48.25, 0.4792, 24.65)),
    ('cityscapes_onelabel', (75.82, 0.0125))])
def test_single_task_figures_are_those_of_tables_1_and_3(setting, figures):
    for variant in ('', '_feature'):
        cfg = load_config(str(ROOT / f'configs/diffusionmtl/{setting}_r18{variant}.py'))
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            assert tuple(evaluator.single_task[task] for task in cfg.tasks) == figures


@pytest.mark.parametrize('name, size, channels', [
    ('pascal_onelabel', (512, 512), (21, 7, 2, 3, 1)), ('nyud_random', (288, 384), (13, 1, 3)),
    ('cityscapes_onelabel', (128, 256), (7, 1))])
def test_the_data_set_says_how_large_images_are(name, size, channels):
    cfg = load_config(str(ROOT / f'configs/diffusionmtl/{name}_r18.py'))
    model = MODELS.build(cfg.model)
    assert model.data_preprocessor.size == size
    assert tuple(task.channels for task in model.tasks.values()) == channels


def test_configs_name_the_classes_of_the_layouts():
    for data, names in (('nyud', layouts.NYUD_CLASSES), ('cityscapes', layouts.CITYSCAPES_CLASSES)):
        cfg = load_config(str(ROOT / f'configs/diffusionmtl/{data}_onelabel_r18.py'))
        assert tuple(cfg.tasks.semseg.class_names) == names


def test_one_variable_says_where_the_data_sets_lie(monkeypatch):
    monkeypatch.delenv('MTPSL_DATA', raising=False)
    for root in ('data', '/elsewhere'):
        if root != 'data':
            monkeypatch.setenv('MTPSL_DATA', root)
        for path in CONFIGS:
            cfg = Config.fromfile(path)
            for split in ('train', 'val', 'test'):
                for part in leaves(cfg[f'{split}_dataloader'].dataset):
                    folder = Path(part['data_root'])
                    assert folder.parent in (Path(root), Path(root, 'synthetic'),
                                             Path(root, 'synthetic/joint')), path
                    assert ('synthetic' in folder.parts) == ('synthetic' in path.parts)


def test_the_demo_s_learning_rate_ends_near_zero():
    cfg = load_config(str(ROOT / 'configs/synthetic/diffusionmtl_onelabel.py'))
    scheduler, = cfg.param_scheduler
    assert scheduler.end == cfg.train_cfg.max_epochs and scheduler.convert_to_iter_based


def test_the_learning_rate_follows_the_published_curve():
    """lr_0 (1 - k / 100)^0.9 in epoch k."""
    from mmengine.registry import PARAM_SCHEDULERS
    cfg = load_config(str(ROOT / 'configs/diffusionmtl/pascal_random_r18.py'))
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=2e-5)
    scheduler = PARAM_SCHEDULERS.build(cfg.param_scheduler[0], default_args=dict(
        optimizer=optimizer))
    for k in range(100):
        assert optimizer.param_groups[0]['lr'] == pytest.approx(2e-5 * (1 - k / 100) ** 0.9)
        optimizer.step()
        scheduler.step()
