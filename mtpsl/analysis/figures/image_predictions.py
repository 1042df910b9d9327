"""Collects the predictions of models for images, output by output, and the truth."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mtpsl.apis import MultiTaskInferencer, Prediction
from mtpsl.apis.prediction import channels_first
from mtpsl.apis.windows import resize_longest_side
from mtpsl.engine import load_config
from mtpsl.engine.config.load import require
from mtpsl.engine.visualization import label_form
from mtpsl.models import PredictOptions
from mtpsl.registry import DATASETS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import FINAL, INTERMEDIATE, OUTPUTS, titles
from mtpsl.system.choices import MAX_SIDE
from mtpsl.tasks import Task, build_tasks

TRUTH, FINALS = 'truth', ('denoised', 'prediction')  # titles of outputs, as in panels
Maps = dict[str, np.ndarray]  # task -> (c, H, W) in label form


@dataclass(frozen=True)
class ImagePredictions:
    """An image with its predictions.

    Attributes:
        name: name of the image.
        image: (H, W, 3) uint8 RGB.
        maps: title of an output, such as 'initial' -> the maps of its tasks.
    """

    name: str
    image: np.ndarray
    maps: dict[str, Maps]


class TrainedModel:
    """A trained model with its test images.

    Args:
        config: path or name of a config.
        checkpoint: file of its weights.
        options: overrides of the config.
        device: see :class:`mtpsl.apis.MultiTaskInferencer`.
        every_stage: whether to add initial, noisy and each step's predictions.
        max_side: longest side of image files; see :class:`mtpsl.apis.MultiTaskInferencer`.

    Attributes:
        tasks: task name -> task.
        titles: titles of the outputs of a model with denoising steps, as in
            :attr:`ImagePredictions.maps`; empty without ``every_stage``.

    Raises:
        FileNotFoundError: no such config or checkpoint.
        ValueError: the checkpoint is of another model; ``every_stage`` for a model without
            denoising; ``max_side`` below 1.
    """

    def __init__(self, config: str, checkpoint: str, options: Mapping[str, object] | None = None,
                 device: str | None = None, every_stage: bool = False,
                 max_side: int = MAX_SIDE) -> None:
        self.cfg: Config = load_config(config, options)
        require(self.cfg, 'model', 'tasks')
        self.infer = MultiTaskInferencer(self.cfg, checkpoint, device, max_side=max_side)
        self.tasks: Mapping[str, Task] = self.infer.tasks
        self.max_side = max_side
        self.titles: list[str] = []
        if every_stage:
            model = self.infer.model
            if not model.num_steps:
                raise ValueError(f'{config} has no denoising steps: its model is a '
                                 f'{type(model).__name__}')
            self.titles = list(titles([*model.intermediate_outputs, FINAL]))

    def dataset(self) -> BaseDataset:
        """The config's test images."""
        require(self.cfg, 'test_dataloader')
        return DATASETS.build(self.cfg.test_dataloader.dataset)

    @torch.inference_mode()
    def of_dataset(self, item: Mapping[str, Any]) -> ImagePredictions:
        """Return predictions and truth of an item of the test dataset."""
        model = self.infer.model
        data = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
        if self.titles:
            data = model.data_preprocessor(data)
            options = PredictOptions(num_samples=1, outputs=OUTPUTS)
            (sample,) = model.predict(data['inputs'], data['data_samples'], options)
        else:
            (sample,) = model.test_step(data)
        return shown_of(item['inputs'], sample, self.tasks)

    def of_file(self, path: str) -> ImagePredictions:
        """Return predictions of an image file; pictures are at most ``max_side`` wide or high."""
        stages, num_samples = (INTERMEDIATE, 1) if self.titles else ((), None)
        result = self.infer(path, stages=stages, num_samples=num_samples, progress=False)
        assert isinstance(result, Prediction)  # of one image
        image = resize_longest_side(result.image, self.max_side)
        fields = {**result.stages, FINAL: result.maps}
        maps = {name: fields[output] for name, output in titles(fields).items()}
        return ImagePredictions(result.name, image, {
            stage: {name: channels_first(self.tasks[name].resize(array, image.shape[:2]))
                    for name, array in arrays.items()}
            for stage, arrays in maps.items()})


def read_tasks(configs: Iterable[str], options: Mapping[str, object] | None = None,
               ) -> dict[str, Task]:
    """Build the tasks of several configs, without their models.

    Warns of classes whose names are others in a later config: a legend has those of the first.
    """
    tasks: dict[str, Task] = {}
    for config in configs:
        cfg = load_config(config, options)
        require(cfg, 'tasks')
        mine = build_tasks(cfg.tasks)
        for name in mine.keys() & tasks.keys():
            if (own := getattr(mine[name], 'class_names', None)) != (
                    first := getattr(tasks[name], 'class_names', None)):
                print_log(f'{config} has the classes {own} of {name}, the first config {first}: '
                          'the legend names those', 'current', logging.WARNING)
        tasks = mine | tasks
    return tasks


def shown_of(pixels: torch.Tensor, sample: MultiTaskSample,
             tasks: Mapping[str, Task]) -> ImagePredictions:
    """Convert an image, (3, H, W) uint8 BGR, and the maps of its sample."""
    maps = {name: label_form(sample, output, tasks)
            for name, output in titles(sample.keys()).items()}
    image = np.ascontiguousarray(pixels.cpu().numpy().transpose(1, 2, 0)[..., ::-1])
    return ImagePredictions(sample.img_id, image, maps)


def choose_images(dataset: BaseDataset, images: Sequence[str] | None, number: int) -> list[int]:
    """Return positions of the named images, or of evenly spaced ones.

    Args:
        dataset: a :class:`mtpsl.datasets.PartialLabelDataset` or another one whose data have an
            ``img_id``.
        images: ids of the images.
        number: number of images if none are named.

    Raises:
        ValueError: the dataset does not have an id, or has it several times.
    """
    if images is None:
        count = min(number, len(dataset))
        return np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
    names = [dataset.get_data_info(place)['img_id'] for place in range(len(dataset))]
    places = {name: place for place, name in enumerate(names)}
    unknown = [image for image in images if image not in places]
    if unknown:
        raise ValueError(f'the dataset has no image {", ".join(unknown)}; it has '
                         f'{", ".join(list(places)[:5])}, ...')
    twice = [image for image in images if names.count(image) > 1]
    if twice:
        raise ValueError(f'the dataset has several images called {twice[0]}, as sets of a '
                         'ConcatDataset may: name one of the sets by --cfg-options, or choose '
                         'other images')
    return [places[image] for image in images]
