"""Draws the samples that a config's data loader feeds to a model."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mtpsl.datasets.sampler import SeededIndex
from mtpsl.engine.config.load import require
from mtpsl.models.preprocessor import MultiTaskDataPreprocessor
from mtpsl.registry import DATA_SAMPLERS, DATASETS, MODELS
from mtpsl.structures import MultiTaskSample, batch_leaves
from mtpsl.tasks import Task, build_tasks

from .image_predictions import choose_images
from .method_grid import INPUT, NO_LABEL, legend
from .pictures import PictureRow, draw_pictures


class View(NamedTuple):
    """A view of a sample as the model receives it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: task -> (c, H, W) map; withheld labels are absent.
    """

    image: np.ndarray
    labels: Mapping[str, np.ndarray]


class LoaderPreview:
    """The samples of a split, in the order and with the augmentation of an epoch of a run.

    Args:
        cfg: a loaded config.
        split: ``'train'``, ``'val'`` or ``'test'``.
        seed: seed of the run, which decides order and augmentation; None for the config's.
        epoch: number of the epoch, from 0.
        preprocess: whether to apply the model's data preprocessor, which pads (and normalises,
            which is undone for the picture).

    Raises:
        ValueError: the config lacks the split or has no tasks.
    """

    def __init__(self, cfg: Config, split: str = 'train', seed: int | None = None, epoch: int = 0,
                 preprocess: bool = False) -> None:
        require(cfg, f'{split}_dataloader', 'tasks')
        init_default_scope('mtpsl')
        loader = cfg[f'{split}_dataloader']
        self.tasks: dict[str, Task] = build_tasks(cfg.tasks)
        self.dataset: BaseDataset = DATASETS.build(loader.dataset)
        if seed is None:
            seed = (cfg.get('randomness') or {}).get('seed') or 0
        self.sampler = DATA_SAMPLERS.build(dict(loader.sampler) | dict(dataset=self.dataset,
                                                                       seed=seed))
        self.sampler.set_epoch(epoch)
        self.training = split == 'train'
        self.preprocessor: MultiTaskDataPreprocessor | None = None
        if preprocess:
            require(cfg, 'model')
            default = dict(type='MultiTaskDataPreprocessor', tasks=self.tasks)
            self.preprocessor = MODELS.build(
                default | dict(cfg.model.get('data_preprocessor') or {}))

    def __len__(self) -> int:
        return len(self.sampler)

    def draws(self, images: Sequence[str] | None = None) -> Iterator[SeededIndex | int]:
        """Yield the sampler's indices of an epoch, at most as many as there are images.

        Args:
            images: ids of images to yield, each once, in the sampler's order.

        Raises:
            ValueError: the dataset does not have an id, or the sampler does not draw it.
        """
        epoch = islice(self.sampler, len(self.dataset))  # some samplers are infinite
        if images is None:
            yield from epoch
            return
        left = set(choose_images(self.dataset, images, 0))
        for draw in epoch:
            index = int(draw)
            if index in left:
                left.remove(index)
                yield draw
            if not left:
                return
        missing = [self.dataset.get_data_info(index)['img_id'] for index in sorted(left)]
        raise ValueError(f'{type(self.sampler).__name__} does not draw {", ".join(missing)} in '
                         'this epoch')

    def views(self, draw: SeededIndex | int) -> tuple[str, list[View]]:
        """Return the id and the views of a sample; most pipelines make one view."""
        item = self.dataset[draw]
        pixels: list[Any] = list(batch_leaves([item['inputs']]))
        samples: list[Any] = list(batch_leaves([item['data_samples']]))
        images = [p.numpy().transpose(1, 2, 0)[..., ::-1] for p in pixels]
        if self.preprocessor is not None:
            images, samples = _preprocessed(self.preprocessor, self.training, pixels, samples)
        return samples[0].img_id, [
            View(image, {name: label.numpy() for name, label in sample.gt.items()})
            for image, sample in zip(images, samples)]


def _preprocessed(preprocessor: MultiTaskDataPreprocessor, training: bool,
                  pixels: list[torch.Tensor], samples: list[MultiTaskSample],
                  ) -> tuple[list[np.ndarray], list[MultiTaskSample]]:
    """Return preprocessed images and samples; padding has the mean colour, 0 to the model."""
    batch = preprocessor(dict(inputs=pixels, data_samples=samples), training)
    rgb = batch['inputs'] * preprocessor.std + preprocessor.mean
    rgb = rgb.round().clamp(0, 255).to(torch.uint8)
    if not preprocessor.bgr_to_rgb:
        rgb = rgb.flip(1)
    return list(rgb.permute(0, 2, 3, 1).numpy()), batch['data_samples']


def draw_views(name: str, views: Sequence[View], tasks: Mapping[str, Task]) -> Figure:
    """Draw a row per view: the image, and each task's label or a mark that it is withheld."""
    rows = []
    for number, view in enumerate(views):
        cells: dict[str, np.ndarray | str] = {INPUT: view.image}
        for task in tasks:
            cells[task] = (tasks[task].colorize(view.labels[task]) if task in view.labels
                           else NO_LABEL)
        rows.append(PictureRow(f'view {number}' if len(views) > 1 else '', cells,
                               view.image.shape[:2], '' if number else name))
    legends = {task: legend(tasks[task], [view.labels[task] for view in views
                                          if task in view.labels]) for task in tasks}
    return draw_pictures(rows, [INPUT, *tasks], legends)
