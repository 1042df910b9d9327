"""Which transforms a pipeline may have, and in which order: so that labels stay on their image.

The transforms of mmcv and mmseg know nothing of ``gt``: one that moves pixels moves the image
alone. So those that change colours only are known here by name, and all others are refused. A
transform of one's own says what it moves by an attribute of its class, ``moves``.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import mmcv.transforms
from mmengine.logging import print_log

from mtpsl.tasks import Task

from .colours import Look, look_of, refuse_other_shape
from .formatting import PackMultiTaskInputs
from .geometric import RandomCrop, RandomFlip, RandomScale, RandomScaleCrop
from .image_only import moves_pixels, package_and_name
from .loading import LoadImageFromFile, LoadLabels
from .multi_view import MultiView
from .probe import check_geometry
from .probe_values import check_values

MOVES = ('nothing', 'image and labels')
COLOURS = ('AdjustGamma', 'CLAHE', 'PhotoMetricDistortion', 'RandomCutOut', 'RandomGrayscale',
           'RGB2Gray')
RANDOM = ('PhotoMetricDistortion', 'RandAugment', 'RandomApply', 'RandomChoice', 'RandomCutOut',
          'RandomGrayscale')
CONTAINERS = (mmcv.transforms.Compose, mmcv.transforms.RandomApply, mmcv.transforms.RandomChoice)
GEOMETRIC = (RandomCrop, RandomFlip, RandomScale, RandomScaleCrop)
LAST = (PackMultiTaskInputs, MultiView)
NORMALISES = 'Leave it out: the model normalises, see mean and std of data_preprocessor'
PADS = 'Leave it out: images and labels are padded to data_preprocessor.size'
INSTEAD = dict(
    RandomFlip="Write dict(type='mtpsl.RandomFlip', prob=...) in its place",
    RandomCrop="Write dict(type='mtpsl.RandomCrop', size=(height, width)) in its place",
    RandomResize="Write dict(type='mtpsl.RandomScale', scale_range=(low, high)) in its place",
    Resize="Write dict(type='mtpsl.RandomScale', scale_range=(scale, scale)) in its place",
    LoadImageFromFile="Write dict(type='mtpsl.LoadImageFromFile') in its place",
    LoadAnnotations="Write dict(type='mtpsl.LoadLabels') in its place",
    PackSegInputs="Write dict(type='mtpsl.PackMultiTaskInputs') in its place",
    Pad=PADS, Normalize=NORMALISES, Rerange=NORMALISES, ImageToTensor=NORMALISES)


def check_pipeline(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> None:
    """Raise ValueError where a pipeline would take image and labels apart.

    Warns, by the log, of a transform of one's own that does not say what it moves.

    Args:
        steps: the transforms of a pipeline, built.
        tasks: task name -> task.
    """
    for chain in _chains(steps):
        _check_order(chain)
        silent = dict.fromkeys(name for step in chain for name in _silent(step))
        check_geometry(chain, tasks)
        check_values(chain, tasks)
        if silent:
            print_log(
                f'the transform {", ".join(silent)} does not say what it moves, and was only tried '
                "on a picture: write moves = 'nothing' into its class if every pixel stays where "
                "it is, or moves = 'image and labels' if it moves the maps of results['gt'] with "
                'the image',
                'current', logging.WARNING)


def _chains(steps: Sequence[Callable]) -> Iterator[list[Callable]]:
    """The pipeline; of several views that of each."""
    for number, step in enumerate(steps):
        if isinstance(step, MultiView):
            for view in step.views:
                yield [*steps[:number], *view.transforms, step.pack, *steps[number + 1:]]
            return
    yield list(steps)


def acts_by_chance(step: Callable) -> bool:
    """Whether a known transform moves pixels or changes colours at random."""
    if isinstance(step, GEOMETRIC):
        return not (isinstance(step, RandomScale) and step.scale_range[0] == step.scale_range[1])
    return not hasattr(step, 'moves') and package_and_name(step)[1] in RANDOM


def names_by_chance(steps: Sequence[Callable]) -> str:
    """Names of the transforms that act by chance, joined by commas; '' where there are none."""
    return ', '.join(package_and_name(step)[1] for step in steps if acts_by_chance(step))


def photometric(steps: Sequence[Callable]) -> list[Callable]:
    """The transforms that change colours only: those that prediction applies as well.

    Warns, by the log, of those that act by chance, which are left out.

    Raises:
        ValueError: one that always moves pixels, or does not say whether it does.
    """
    if drawn := names_by_chance(steps):
        print_log(f'{drawn} in the pipeline of the test data changes images by chance: '
                  'prediction leaves it out', 'current', logging.WARNING)
    kept = [step for step in steps if not (
        isinstance(step, (LoadImageFromFile, LoadLabels, *LAST)) or acts_by_chance(step))]
    for step in kept:
        silent = list(_silent(step))
        if silent or isinstance(step, GEOMETRIC) or getattr(step, 'moves', MOVES[0]) != MOVES[0]:
            raise ValueError(f'{".".join(package_and_name(step))} in the pipeline of the test data '
                             f'{"may move" if silent else "moves"} pixels: predictions would not '
                             "lie on the image. A class of one's own that changes colours only "
                             "says so: moves = 'nothing'")
    return kept


def looks(steps: Sequence[Callable]) -> list[Look]:
    """What a pipeline makes of the colours of every image, in each of its views."""
    found = []
    for chain in _chains(steps):
        loader = next((step for step in chain if isinstance(step, LoadImageFromFile)), None)
        found.append(look_of(loader, [step for step in chain if not (
            isinstance(step, (LoadImageFromFile, LoadLabels, *GEOMETRIC, *LAST))
            or getattr(step, 'moves', MOVES[0]) != MOVES[0])]))
    return found


def zooms(steps: Sequence[Callable]) -> list[tuple[float, float]]:
    """By which factors a pipeline enlarges images by RandomScale, least and largest, in each view.
    """
    found = []
    for chain in _chains(steps):
        ranges = [step.scale_range for step in chain if isinstance(step, RandomScale)]
        found.append((math.prod(low for low, _ in ranges), math.prod(high for _, high in ranges)))
    return found


def _silent(step: Callable) -> Iterator[str]:
    """Names of transforms of one's own that do not say what they move; raises for the unfit."""
    package, name = package_and_name(step)
    moves = getattr(step, 'moves', None)
    if moves is not None:
        if moves not in MOVES:
            raise ValueError(f'the transform {package}.{name}: moves must be one of {list(MOVES)}, '
                             f'got {moves!r}')
    elif type(step) in CONTAINERS:
        for part in step.transforms:  # type: ignore[attr-defined]
            parts = part.transforms if isinstance(part, mmcv.transforms.Compose) else [part]
            for inner in parts:
                yield from _silent(inner)
    elif package in ('mmcv', 'mmseg'):
        if name not in COLOURS:
            does = ('moves image and labels apart' if moves_pixels(name) else
                    'knows nothing of the labels of the tasks')
            instead = INSTEAD.get(name, "What only changes colours can go into dict(type="
                                        "'ImageOnly', transforms=[...]): every pixel stays there")
            raise ValueError(f'the transform {package}.{name} {does}. {instead}')
        refuse_other_shape(step)
    elif package != 'mtpsl':
        yield f'{package}.{name}'


def _check_order(chain: Sequence[Callable]) -> None:
    """Image, labels, what moves both, packing; none of the readers twice."""
    for kinds in ((LoadImageFromFile,), (LoadLabels,), (PackMultiTaskInputs,)):
        if sum(isinstance(step, kinds) for step in chain) > 1:
            raise ValueError(f'{kinds[0].__name__} stands twice in the pipeline: the second would '
                             'undo or repeat what stands before it')
    order: tuple = (LoadImageFromFile, LoadLabels, GEOMETRIC, PackMultiTaskInputs)
    latest = 0
    for step in chain:
        rank = next((rank for rank, kinds in enumerate(order) if isinstance(step, kinds)), None)
        if rank is None:
            continue
        if rank < latest:
            raise ValueError(f'{type(step).__name__} stands too late in the pipeline, whose order '
                             'is LoadImageFromFile, LoadLabels, what moves image and labels, '
                             'PackMultiTaskInputs or MultiView')
        latest = rank
