"""What a config's pipeline feeds a model: the samples of a data loader, as pictures."""

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
from mtpsl.system.choices import PAGE
from mtpsl.tasks import Task, build_tasks

from .image_predictions import choose_images
from .method_grid import INPUT, NO_LABEL, legend
from .pictures import PictureRow, draw_pictures


class View(NamedTuple):
    """A view of a sample, as the model gets it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: task -> (c, H, W) map; a label withheld is absent.
    """

    image: np.ndarray
    labels: Mapping[str, np.ndarray]


class LoaderPreview:
    """The samples of a split in the order and the augmentation of a run's first epoch.

    Args:
        cfg: a loaded config.
        split: ``'train'``, ``'val'`` or ``'test'``.
        seed: the run's, which decides order and augmentation; None is the config's.
        epoch: which epoch, 0 or more.
        preprocess: whether to let the model's data preprocessor pad (and normalise, which is
            undone for the picture).

    Raises:
        ValueError: the config has no such split, or no tasks.
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
        """What the sampler asks for in an epoch, as many draws at most as there are images.

        Args:
            images: ids; only these are yielded, each once, in the sampler's order.

        Raises:
            ValueError: an id that the dataset does not have, or that the sampler does not draw.
        """
        epoch = islice(self.sampler, len(self.dataset))  # some samplers never end
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
        """Id and views of one sample; most pipelines make a single one."""
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
    """Images and samples as the model gets them; the pad's colour is the mean, 0 to it."""
    batch = preprocessor(dict(inputs=pixels, data_samples=samples), training)
    rgb = batch['inputs'] * preprocessor.std + preprocessor.mean
    rgb = rgb.round().clamp(0, 255).to(torch.uint8)
    if not preprocessor.bgr_to_rgb:
        rgb = rgb.flip(1)
    return list(rgb.permute(0, 2, 3, 1).numpy()), batch['data_samples']


def draw_views(name: str, views: Sequence[View], tasks: Mapping[str, Task],
               width: float = PAGE) -> Figure:
    """A row a view: the image, and the label of each task or that it is withheld."""
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
    return draw_pictures(rows, [INPUT, *tasks], legends, width)
