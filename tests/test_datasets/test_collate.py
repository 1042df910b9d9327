"""Batches: images of one size are stacked, samples pin their maps; no value changes."""

import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from tiny import PASCAL_TASKS, make_samples

from mtpsl.datasets import stack_alike
from mtpsl.engine import load_config
from mtpsl.models import MultiTaskDataPreprocessor


def items(*sizes: tuple[int, int], views: int = 0) -> list[dict]:
    """What a pipeline gives of an image of each size."""
    torch.manual_seed(0)
    images = [[torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
              for _ in range(views or 1)]
    samples = [make_samples([['semseg'], ['normal'], []][:len(sizes)], (8, 8), seed)
               for seed in range(views or 1)]
    found = [dict(inputs=list(i), data_samples=list(s))
             for i, s in zip(zip(*images), zip(*samples))]
    return found if views else [{key: value[0] for key, value in item.items()} for item in found]


@pytest.mark.parametrize('sizes, stacked', [(((8, 8),) * 3, True), (((8, 8), (8, 6)), False)])
@pytest.mark.parametrize('views', [0, 2])
def test_a_stacked_batch_is_what_a_list_is(sizes, stacked, views):
    batch = stack_alike(items(*sizes, views=views))
    for part in batch['inputs'] if views else [batch['inputs']]:
        assert isinstance(part, torch.Tensor) is stacked and len(part) == len(sizes)
    listed = pseudo_collate(items(*sizes, views=views))
    processor = MultiTaskDataPreprocessor(PASCAL_TASKS, size=(8, 8), size_divisor=8)
    ours, plain = (processor(copy.deepcopy(data), True) for data in (batch, listed))
    assert torch.equal(ours['inputs'], plain['inputs'])
    assert [s.img_id for s in ours['data_samples']] == [s.img_id for s in plain['data_samples']]
    for a, b in zip(ours['data_samples'], plain['data_samples']):
        assert a.gt.keys() == b.gt.keys()
        assert all(torch.equal(label, b.gt.get(name)) for name, label in a.gt.items())


def test_a_sample_pins_each_of_its_maps(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: pinned.append(self) or self + 0)
    sample, = make_samples([['semseg', 'normal']], (4, 4))
    sample.pred = PixelData(depth=torch.ones(1, 4, 4))
    before = dict(sample.gt.items())
    assert sample.pin_memory() is sample
    assert len(pinned) == 3
    for name, label in sample.gt.items():
        assert torch.equal(label, before[name]) and label is not before[name]


@pytest.mark.parametrize('config', [
    'synthetic/diffusionmtl_onelabel', 'diffusionmtl/nyud_onelabel_r18',
    'diffusionmtl/cityscapes_onelabel_r18', 'jtr/pascal_onelabel_r18'])
def test_the_loaders_pin_and_stack(config, recwarn):
    init_default_scope('mtpsl')
    cfg = load_config(f'configs/{config}.py')
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name] | dict(dataset=items((8, 8), (8, 8)), num_workers=0,
                                  persistent_workers=False)
        loader.pop('sampler')
        built = Runner.build_dataloader(dict(loader, sampler=torch.utils.data.SequentialSampler(
            loader['dataset']), batch_size=2))
        assert built.pin_memory
        batch, = built
        assert batch['inputs'].shape == (2, 3, 8, 8)
    assert not [w for w in recwarn if 'pin_memory' in str(w.message)]  # without a GPU, too
