"""Configs of the real datasets, each method once: their own loaders feed their own model.

The scenes are synthetic ones in the datasets' layouts; the models are thin.
"""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from tiny import shrink

from mtpsl.data_prep.synthetic import write_scenes
from mtpsl.datasets.label_mapping import save_mapping
from mtpsl.engine import load_config
from mtpsl.registry import DATASETS, MODELS

from .conftest import LAYOUTS, ROOT

# Config, layout, side lengths of the batch.
CONFIGS = [
    ('single_task/nyud_random_r18_depth', 'nyud', (288, 384)),
    ('single_task/pascal_onelabel_r18_parsing', 'pascal', (512, 512)),
    ('mtl_baseline/cityscapes_onelabel_r18', 'cityscapes', (128, 256)),
    ('ss/pascal_random_r18', 'pascal', (512, 512)),
    ('ss/nyud_onelabel_r18', 'nyud', (288, 384)),
    ('xtc/pascal_onelabel_r18', 'pascal', (512, 512)),
    ('xtc/cityscapes_onelabel_r18', 'cityscapes', (128, 256)),
    ('jtr/nyud_random_r18', 'nyud', (288, 384)),
    ('jtr/pascal_random_r18', 'pascal', (512, 512)),
    ('hitts/nyud_random_r18', 'nyud', (288, 384)),
    ('diffusionmtl/nyud_random_r18_scale-crop', 'nyud', (288, 384)),
    ('diffusionmtl/cityscapes_onelabel_r18_steps3', 'cityscapes', (128, 256)),
]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    for layout, (name, ids, tasks) in LAYOUTS.items():
        root, count = folder / name, len(tasks)
        write_scenes(root, layout, count, 1, 64, 96, 0, 1)
        images = (root / ids).read_text().split() if layout == 'pascal' else range(count)
        save_mapping({str(image): [task] for image, task in zip(images, tasks)},
                     root / 'label_mappings/onelabel.json')
        save_mapping({str(image): tasks[k % 2:][:2] for k, image in enumerate(images)},
                     root / 'label_mappings/randomlabels.json')
    return folder


@pytest.mark.parametrize('name, layout, size', CONFIGS, ids=[name for name, _, _ in CONFIGS])
def test_a_step_on_what_the_loader_gives(name, layout, size, data):
    cfg = load_config(str(ROOT / f'configs/{name}.py'), {
        'train_dataloader.dataset.data_root': str(data / LAYOUTS[layout][0])})
    shrink(cfg.model)
    with DefaultScope.overwrite_default_scope('mtpsl'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        model = MODELS.build(cfg.model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = pseudo_collate([dataset[index] for index in range(min(len(dataset), 2))])
    views = getattr(getattr(model, 'regularizer', None), 'num_views', 1)
    assert len(batch['inputs']) == views or views == 1
    with torch.no_grad():
        prepared = model.data_preprocessor(batch, training=True)
    assert tuple(prepared['inputs'].shape[2:]) == size
    if name.startswith('single_task'):
        assert all(len(sample.gt.keys()) == 1 for sample in prepared['data_samples'])
    losses = model.train_step(batch, wrapper)
    assert torch.isfinite(losses['loss']) and losses['loss'] > 0
