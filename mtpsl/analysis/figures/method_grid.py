"""Figs. 5, 7 and 9: rows of pictures of predictions."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from mtpsl.system.choices import PAGE
from mtpsl.tasks import Task
from mtpsl.tasks.categorical import CategoricalTask

from .image_predictions import FINALS, TRUTH, ImagePredictions, Maps
from .pictures import Colour, Mark, PictureRow, draw_pictures

INPUT = 'input'
NO_LABEL, NOT_PREDICTED = 'no label', 'not predicted'
SMALL, ALIKE = (64, 64), 0.8  # size and correlation at which images are of one photo
NARROWEST = 0.03  # least radius of a region with a number, as a share of the picture's width


def draw_stages(images: Sequence[ImagePredictions], tasks: Mapping[str, Task],
                stages: Sequence[str], width: float = PAGE, number_classes: bool = False) -> Figure:
    """Draw a row for each task of each image: the input, then the outputs.

    Args:
        images: images with their predictions.
        tasks: task name -> task, the rows.
        stages: titles of the columns, as in :attr:`ImagePredictions.maps`. Maps that an image
            lacks are drawn as missing.
        width: width of the figure in inches.
        number_classes: whether to write each class's number in the legend into its largest region,
            for print without colour.
    """
    legends = {name: legend(task, [shown.maps[stage][name] for shown in images for stage in stages
                                   if name in shown.maps.get(stage, {})])
               for name, task in tasks.items()}
    numbered = [name for name, task in tasks.items()
                if number_classes and isinstance(task, CategoricalTask)]
    rows = []
    for shown in images:
        for number, (name, task) in enumerate(tasks.items()):
            cells: dict[str, np.ndarray | str] = {} if number else {INPUT: shown.image}
            for stage in stages:
                cells[stage] = _cell(stage, shown.maps.get(stage, {}), name, task)
            marks = {stage: class_marks(cell, legends[name]) for stage, cell in cells.items()
                     if name in numbered and stage != INPUT and not isinstance(cell, str)}
            rows.append(PictureRow(name, cells, shown.image.shape[:2],
                                   '' if number else shown.name, marks))
    for name in numbered:
        legends[name] = {f'{number} {title}': colour
                         for number, (title, colour) in enumerate(legends[name].items(), 1)}
    return draw_pictures(rows, [INPUT, *stages], legends, width)


def legend(task: Task, maps: Sequence[np.ndarray]) -> dict[str, Colour]:
    """Combined legend of all maps, (c, H, W) in label form of any sizes."""
    if not maps:
        return {}
    return task.legend(np.concatenate([m.reshape(len(m), 1, -1) for m in maps], axis=2))


def class_marks(picture: np.ndarray, classes: Mapping[str, Colour]) -> list[Mark]:
    """Place the number of each class at the widest point of its widest region in a picture.

    Args:
        picture: (H, W, 3) uint8 RGB.
        classes: name -> RGB, numbered from 1. A class without a region wide enough for a number
            gets none.
    """
    height, width = picture.shape[:2]
    marks = []
    for number, colour in enumerate(classes.values(), 1):
        region = np.pad((picture == colour).all(2).astype(np.uint8), 1)
        depth = cv2.distanceTransform(region, cv2.DIST_L2, 3)[1:-1, 1:-1]  # to the region's edge
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        if depth[y, x] >= NARROWEST * width:
            marks.append(Mark((x + 0.5) / width, (y + 0.5) / height, str(number)))
    return marks


def _cell(stage: str, maps: Maps, name: str, task: Task) -> np.ndarray | str:
    if name in maps:
        return task.colorize(maps[name])
    return NO_LABEL if stage == TRUTH else NOT_PREDICTED


def merge_methods(methods: Mapping[str, Sequence[ImagePredictions]]) -> list[ImagePredictions]:
    """Merge the final predictions of several methods for the same images, a column per method.

    Args:
        methods: name -> its predictions for the images; of a method of several (single-task)
            models the predictions of all of them.

    Raises:
        ValueError: images of one name that show different things.
    """
    images: dict[str, ImagePredictions] = {}
    for method, said in methods.items():
        for shown in said:
            merged = images.setdefault(shown.name, ImagePredictions(shown.name, shown.image, {}))
            if not _alike(merged.image, shown.image):
                raise ValueError(f'the image {shown.name} of {method} shows something else than '
                                 f'that of {next(iter(merged.maps))}: their test data are others; '
                                 '--cfg-options test_dataloader.dataset.data_root=... is for all')
            final = next(shown.maps[stage] for stage in FINALS if stage in shown.maps)
            merged.maps.setdefault(method, {}).update(final)
            merged.maps.setdefault(TRUTH, {}).update(shown.maps.get(TRUTH, {}))
    return list(images.values())


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images, (H, W, 3) uint8 RGB, are of one photo, whose colours may be changed."""
    if one.shape == other.shape and (one == other).all():
        return True
    greys = [cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), SMALL,
                        interpolation=cv2.INTER_AREA).astype(float) for image in (one, other)]
    spread = [grey - grey.mean() for grey in greys]
    product = np.sqrt((spread[0] ** 2).sum() * (spread[1] ** 2).sum())
    return bool((spread[0] * spread[1]).sum() > ALIKE * product)  # Pearson's correlation
