"""Small tasks, labels, samples and models for the tests."""

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from mtpsl.datasets.transforms.geometric import Zoom
from mtpsl.structures import MultiTaskSample

PASCAL_TASKS = dict(
    semseg=dict(type='Semseg'), parsing=dict(type='Parsing'), saliency=dict(type='Saliency'),
    normal=dict(type='Normal'), boundary=dict(type='Boundary'))


def random_label(name: str, generator: torch.Generator, height: int, width: int,
                 classes: int | None = None) -> torch.Tensor:
    """A label map (c, H, W) of a PASCAL task or depth, with some unknown pixels."""
    shape = (1, height, width)
    if name == 'normal':
        label = torch.nn.functional.normalize(
            torch.randn(3, height, width, generator=generator), dim=0)
        label[:, :2] = 0
        return label
    if name == 'depth':
        label = torch.rand(shape, generator=generator) * 5 + 0.5
        label[:, :2] = 0
        return label
    classes = classes or dict(semseg=21, parsing=7).get(name, 2)
    label = torch.randint(0, classes, shape, generator=generator).to(torch.uint8)
    label[:, :2] = 255
    return label


def make_samples(labels: list[list[str]], size: tuple[int, int] = (64, 64), seed: int = 0,
                 semseg_classes: int | None = None) -> list[MultiTaskSample]:
    """One sample for each list of the tasks it is labelled for."""
    generator = torch.Generator().manual_seed(seed)
    return [MultiTaskSample(
        metainfo=dict(img_id=f'image{i}', img_path=f'image{i}.jpg', img_shape=size),
        gt=PixelData(**{
            name: random_label(name, generator, *size,
                               semseg_classes if name == 'semseg' else None) for name in names}))
        for i, names in enumerate(labels)]


def make_views(labels: list[list[str]], num_views: int, size: tuple[int, int] = (64, 64),
               zoom: Zoom | None = None,
               semseg_classes: int | None = None) -> list[MultiTaskSample]:
    """The samples of all views, view by view; each view has labels of its own."""
    whole = Zoom(0, size[0], 0, size[1], 1.0)
    samples = []
    for view in range(num_views):
        for sample in make_samples(labels, size, seed=view, semseg_classes=semseg_classes):
            sample.set_metainfo(dict(view=view, zoom=whole if view == 0 else zoom or whole))
            samples.append(sample)
    return samples


def tiny_regularized_config(regularizer: str, tasks: dict | None = None, channels: int = 16,
                            **options: object) -> dict:
    """An MTL baseline with an auxiliary objective, of a few thousand parameters."""
    if regularizer != 'ViewConsistency':
        options = dict(channels=(8, 8, 16, 32, 64)) | options
    return dict(
        type='RegularizedMTL', tasks=tasks or PASCAL_TASKS, data_preprocessor=dict(size=(64, 64)),
        backbone=dict(type='mmseg.ResNet', depth=18, stem_channels=8, base_channels=8),
        neck=dict(type='MultiScaleFusion', in_channels=(8, 16, 32, 64), out_channels=channels),
        decoder=dict(type='TaskDecoders', channels=channels, num_blocks=1),
        regularizer=dict(type=regularizer, **options))


def tiny_model_config(diffusion: str = 'PredictionDiffusion', condition: str | None = 'default',
                      channels: int = 16, detach: bool = True, **schedule: object) -> dict:
    """A DiffusionMTL of a few thousand parameters with every part of the full one."""
    kinds = dict(PredictionDiffusion='ProjectedCondition', FeatureDiffusion='ConcatenatedCondition')
    return dict(
        type='DiffusionMTL', tasks=PASCAL_TASKS, data_preprocessor=dict(size=(64, 64)),
        backbone=dict(type='mmseg.ResNet', depth=18, stem_channels=8, base_channels=8),
        neck=dict(type='MultiScaleFusion', in_channels=(8, 16, 32, 64), out_channels=channels),
        decoder=dict(type='TaskDecoders', channels=channels, num_blocks=1),
        diffusion=dict(type=diffusion, channels=channels, num_blocks=2, head_convs=2,
                       schedule=schedule,
                       condition=condition and dict(type=kinds[diffusion], detach=detach)))


def tiny_hitts_config(tasks: dict | None = None, **decoder: object) -> dict:
    """Stage 1 of HiTTs of a few thousand parameters, with bins for normal and depth."""
    tasks = tasks or PASCAL_TASKS
    bins = dict(normal=dict(type='DirectionBins', num=12),
                depth=dict(type='DepthBins', low=0.5, high=6.0, num=6))
    return dict(
        type='HiTTs', tasks=tasks, data_preprocessor=dict(size=(64, 64)),
        backbone=dict(type='mmseg.ResNet', depth=18, stem_channels=8, base_channels=8),
        decoder=dict(type='TokenDecoders', in_channels=(8, 16, 32, 64), channels=16,
                     head_channels=16, dilations=(1, 2, 3),
                     bins={name: own for name, own in bins.items() if name in tasks}) | decoder)


def shrink(model: ConfigDict) -> None:
    """Make a config's model thin: 8 channels, as many in the backbone's first stage."""
    channels = 8
    stages = [channels * factor for factor in (1, 2, 4, 8)]
    expansion = 4 if model.backbone.depth == 50 else 1
    model.backbone.update(init_cfg=None, stem_channels=channels, base_channels=channels)
    if 'neck' in model:
        model.neck.update(out_channels=channels, in_channels=[expansion * c for c in stages])
    else:
        model.decoder.update(in_channels=stages, head_channels=channels)
    model.decoder.channels = channels
    if 'diffusion' in model:
        model.diffusion.channels = channels
    if model.get('regularizer', {}).get('type', 'ViewConsistency') != 'ViewConsistency':
        model.regularizer.channels = [channels, *stages]
