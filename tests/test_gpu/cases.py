"""Models of every method and config family, and batches for them as a loader gives them."""

import torch
from mmengine.structures import PixelData
from test_gpu.fake import REPO
from test_gpu.table import CASES
from tiny import shrink
from torch import nn
from torch.utils.data._utils.pin_memory import pin_memory

from mtpsl.analysis.profiling.random_batch import random_batch
from mtpsl.datasets import stack_alike
from mtpsl.datasets.transforms.geometric import Zoom
from mtpsl.engine import load_config
from mtpsl.registry import MODELS

SIZE, BATCH = (64, 64), 3


def config(case: str) -> tuple:
    """A thin and shallow model of the case's config, and its optimiser."""
    path, options = CASES[case]
    cfg = load_config(f'{REPO}/configs/{path}.py', options)
    shrink(cfg.model)
    if 'num_blocks' in cfg.model.decoder:
        cfg.model.decoder.num_blocks = 1
    if 'diffusion' in cfg.model:
        cfg.model.diffusion.update(num_blocks=1, head_convs=1)
    cfg.model.data_preprocessor.size = SIZE
    return MODELS.build(cfg.model), cfg.optim_wrapper


def loaded(model: nn.Module, labels: str, seed: int = 0, batch: int = BATCH,
           size: tuple[int, int] = SIZE) -> dict:
    """A batch, collated and pinned, in views where the model learns from several.

    Args:
        model: which it is for, in the mode that it is for.
        labels: 'one', 'all' or 'none'.
        seed: of images and labels.
        batch: number of images.
        size: H and W.
    """
    views = getattr(getattr(model, 'regularizer', None), 'num_views', 0) if model.training else 0
    parts = [random_batch(model.tasks, batch, size, 'one' if labels == 'none' else labels, seed)
             for _ in range(views or 1)]
    for view, part in enumerate(parts):
        for sample in part['data_samples']:
            sample.set_metainfo(dict(view=view, zoom=Zoom(0, size[0], 0, size[1], 1.0)))
            if labels == 'none':
                sample.gt = PixelData()
    items = [dict(inputs=[part['inputs'][row] for part in parts],
                  data_samples=[part['data_samples'][row] for part in parts])
             for row in range(batch)]
    if not views:
        items = [{key: value for key, (value,) in item.items()} for item in items]
    return pin_memory(stack_alike(items))


def maps_of(sample: object) -> list[torch.Tensor]:
    """What was predicted."""
    return [m for field in ('pred', 'initial', 'noisy') if field in sample
            for m in sample.get(field).values()]
