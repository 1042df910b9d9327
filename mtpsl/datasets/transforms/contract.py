"""Check the transforms of a pipeline and their order, so that labels stay aligned with the image.

The transforms of mmcv and mmseg ignore ``gt``: one that moves pixels moves the image alone. So
only their colour transforms, listed here by name, are allowed. A user's own transform declares
what it moves by the class attribute ``moves``.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import mmcv.transforms
from mmengine.logging import print_log

from mtpsl.tasks import Task

from .colours import Look, blanked, look_of, refuse_other_shape
from .formatting import PackMultiTaskInputs
from .geometric import RandomCrop, RandomFlip, RandomScale, RandomScaleCrop
from .image_only import MOVES, moves_all, moves_pixels, package_and_name
from .loading import LoadImageFromFile, LoadLabels
from .multi_view import MultiView
from .probes.own_random import refuse_own_generators
from .probes.own_state import tell_states
from .probes.probe import check_geometry, faulty_name
from .probes.probe_scale import zoom_of
from .probes.probe_values import check_values

BLANK = 0.1  # share of images of which nothing is left
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


def check_pipeline(steps: Sequence[Callable], tasks: Mapping[str, Task],
                   names: Callable[[], Sequence[tuple[str, str]]] = tuple) -> None:
    """Raise ValueError if a pipeline misaligns image and labels, or has a generator of its own.

    Logs a warning for each user transform without ``moves``, and where one moves images of some
    names without their labels.

    Args:
        steps: the built transforms of a pipeline.
        tasks: task name -> task.
        names: gives ids and paths of images, since transforms may act by them.
    """
    for chain in chains(steps):
        _check_order(chain)
        refuse_own_generators(chain)
        silent = dict.fromkeys(name for step in chain for name in _silent(step))
        _tell_of_blanks(chain)
        check_geometry(chain, tasks)
        check_values(chain, tasks)
        tell_states(chain, tasks)
        image_id, fault = faulty_name(chain, tasks, names)
        if fault:
            print_log(f'of images that are called as {image_id}, {fault}. If those labels are '
                      'stored so, all is well', 'current', logging.WARNING)
        if silent:
            print_log(
                f'the transform {", ".join(silent)} does not say what it moves, and was only tried '
                "on a test image: set moves = 'nothing' in its class if every pixel stays, "
                "or moves = 'image and labels' if it moves the maps of results['gt'] with "
                'the image',
                'current', logging.WARNING)


def chains(steps: Sequence[Callable]) -> Iterator[list[Callable]]:
    """Iterate over the pipelines of all views; a pipeline without views is one."""
    for number, step in enumerate(steps):
        if isinstance(step, MultiView):
            for view in step.views:
                yield [*steps[:number], *view.transforms, step.pack, *steps[number + 1:]]
            return
    yield list(steps)


def _tell_of_blanks(chain: Sequence[Callable]) -> None:
    for step in _of_colours(chain):
        if (share := blanked(step)) >= BLANK:
            print_log(f'the transform {".".join(package_and_name(step))} leaves {share:.0%} of a '
                      'test image\'s draws black, white or of one grey: are its ranges right? '
                      'Factors, as of contrast, lie about 1, and brightness is in 0 to 255',
                      'current', logging.WARNING)


def acts_by_chance(step: Callable) -> bool:
    """Return whether a known transform is random."""
    if isinstance(step, GEOMETRIC):
        return not (isinstance(step, RandomScale) and step.scale_range[0] == step.scale_range[1])
    return not hasattr(step, 'moves') and package_and_name(step)[1] in RANDOM


def names_by_chance(steps: Sequence[Callable]) -> str:
    """Return the names of the random transforms, joined by commas."""
    return ', '.join(package_and_name(step)[1] for step in steps if acts_by_chance(step))


def photometric(steps: Sequence[Callable]) -> list[Callable]:
    """Return the deterministic colour transforms, which prediction applies as well.

    Logs a warning that names the random ones, which are left out.

    Raises:
        ValueError: a transform always moves pixels, or does not declare whether it does.
    """
    if drawn := names_by_chance(steps):
        print_log(f'{drawn} in the pipeline of the test data changes images at random: '
                  'prediction leaves it out', 'current', logging.WARNING)
    kept = [step for step in steps if not (
        isinstance(step, (LoadImageFromFile, LoadLabels, *LAST)) or acts_by_chance(step))]
    for step in kept:
        silent = list(_silent(step))
        if silent or isinstance(step, GEOMETRIC) or getattr(step, 'moves', MOVES[0]) != MOVES[0]:
            raise ValueError(f'{".".join(package_and_name(step))} in the pipeline of the test data '
                             f'{"may move" if silent else "moves"} pixels: predictions would not '
                             "lie on the image. If your class changes colours only, declare "
                             "moves = 'nothing' in it")
    return kept


def image_loader(steps: Sequence[Callable]) -> LoadImageFromFile | None:
    """Return the step of a pipeline that reads images; None if there is none."""
    return next((step for step in steps if isinstance(step, LoadImageFromFile)), None)


def looks(steps: Sequence[Callable]) -> list[Look]:
    """Return the deterministic colour changes of a pipeline, one per view."""
    found = []
    for chain in chains(steps):
        found.append(look_of(image_loader(chain), _of_colours(chain)))
    return found


def _of_colours(chain: Sequence[Callable]) -> list[Callable]:
    """Return the steps that neither read, pack nor move what a sample holds."""
    return [step for step in chain if not (
        isinstance(step, (LoadImageFromFile, LoadLabels, *GEOMETRIC, *LAST)) or moves_all(step))]


def moving(steps: Sequence[Callable]) -> list[str]:
    """Name what changes the geometry of every image of a pipeline, with its factor if known."""
    return [f'RandomScale by {step.scale_range[0]:g}' if isinstance(step, RandomScale) else
            f'{".".join(package_and_name(step))}, which moves pixels'
            for step in steps if moves_all(step) or isinstance(step, RandomScale)
            and step.scale_range[0] == step.scale_range[1] != 1]


def zooms(steps: Sequence[Callable]) -> list[tuple[float, float]]:
    """Return the least and largest zoom of the images in a pipeline, one pair per view.

    That of user transforms is measured, see :func:`~.probe_scale.zoom_of`.
    """
    found = []
    for chain in chains(steps):
        ranges = [step.scale_range if isinstance(step, RandomScale) else zoom_of(step)
                  for step in chain if isinstance(step, RandomScale) or moves_all(step)]
        found.append((math.prod(low for low, _ in ranges), math.prod(high for _, high in ranges)))
    return found


def movers(steps: Sequence[Callable]) -> list[list[Callable]]:
    """Return the user transforms that say that they move the image, by views."""
    return [[step for step in chain if moves_all(step)] for chain in chains(steps)]


def crops(steps: Sequence[Callable]) -> list[tuple[float, float]]:
    """Return the largest height and width that crops of a pipeline leave, one pair per view."""
    sizes = [[step.size for step in chain if isinstance(step, RandomCrop)]
             for chain in chains(steps)]
    return [(min((height for height, _ in chain), default=math.inf),
             min((width for _, width in chain), default=math.inf)) for chain in sizes]


def _silent(step: Callable) -> Iterator[str]:
    """Iterate over user transforms without ``moves``; raise ValueError for unsuitable ones."""
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
            does = ('moves the image without the labels' if moves_pixels(name) else
                    'ignores the labels of the tasks')
            instead = INSTEAD.get(name, "If it only changes colours, wrap it in dict(type="
                                        "'ImageOnly', transforms=[...])")
            raise ValueError(f'the transform {package}.{name} {does}. {instead}')
        refuse_other_shape(step)
    elif package != 'mtpsl':
        yield f'{package}.{name}'


def _check_order(chain: Sequence[Callable]) -> None:
    """Check the order (image, labels, geometric, packing) and that no reader occurs twice."""
    for kinds in ((LoadImageFromFile,), (LoadLabels,), (PackMultiTaskInputs,)):
        if sum(isinstance(step, kinds) for step in chain) > 1:
            raise ValueError(f'{kinds[0].__name__} occurs twice in the pipeline: the second would '
                             'undo or repeat the first')
    order: tuple = (LoadImageFromFile, LoadLabels, GEOMETRIC, PackMultiTaskInputs)
    latest = 0
    for step in chain:
        rank = next((rank for rank, kinds in enumerate(order) if isinstance(step, kinds)), None)
        if rank is None:
            continue
        if rank < latest:
            raise ValueError(f'{type(step).__name__} is too late in the pipeline; the order is '
                             'LoadImageFromFile, LoadLabels, transforms that move image and '
                             'labels, PackMultiTaskInputs or MultiView')
        latest = rank
