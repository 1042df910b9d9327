"""Whether images of training and of evaluation show things in one size."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from mtpsl.datasets.transforms.contract import zooms
from mtpsl.datasets.transforms.loading import LoadImageFromFile

from .joint import JointDataset
from .look import AT_LEAST, leaves_of, spread
from .partial_label import PartialLabelDataset

SQUASHED = 1.25  # times as long, for their width, as any of the others
FAR = 1.9  # times as large as any training image is: half as large does not pass for rounding


class Scale(NamedTuple):
    """How large the model is shown images of a dataset, in pixels: the root of height by width.

    Attributes:
        least: the smallest of those that were opened, at the least zoom of the pipeline.
        middle: their median, at the middle of the zooms.
        most: the largest of them, at the largest zoom.
        shapes: the least and the largest ratio of their long to their short sides.
    """

    least: float
    middle: float
    most: float
    shapes: tuple[float, float]


def scales(sizes: Sequence[tuple[int, int]], steps: Sequence[Callable]) -> list[Scale]:
    """The scale in each view of a pipeline; none where no image was opened.

    Args:
        sizes: height and width of some images as they are read, in pixels.
        steps: the transforms of the pipeline, built.
    """
    if not sizes:
        return []
    sides = [math.sqrt(height * width) for height, width in sizes]
    ratios = [max(size) / min(size) for size in sizes]
    return [Scale(low * min(sides), math.sqrt(low * high) * float(np.median(sides)),
                  high * max(sides), (min(ratios), max(ratios))) for low, high in zooms(steps)]


def look_at_scales(dataset: object) -> dict[str, list[Scale]]:
    """Read eight images of each dataset, always the same: set name, '' of other ones -> scales."""
    named = dataset.sets.items() if isinstance(dataset, JointDataset) else [
        ('', leaf) for leaf in leaves_of(dataset)]
    found: dict[str, list[Scale]] = {}
    for name, leaf in named:
        steps = leaf.pipeline.transforms
        found.setdefault(name, []).extend(scales(list(_sizes(leaf, steps)), steps))
    return found


def _sizes(dataset: PartialLabelDataset,
           steps: Sequence[Callable]) -> Iterator[tuple[int, int]]:
    loader = next((step for step in steps if isinstance(step, LoadImageFromFile)), None)
    if loader is None:
        return
    for index in islice(spread(len(dataset)), AT_LEAST):
        info = dataset.get_data_info(index) | dict(tasks=dataset.tasks, photos=dataset.PHOTOS)
        try:
            height, width = loader(info)['img'].shape[:2]
            yield height, width
        except Exception:  # other checks report unreadable images
            continue


def compare_scales(learned: Mapping[str, list[Scale]],
                   tested: Mapping[str, list[Scale]]) -> Iterator[str]:
    """Where images of evaluation are of another size or shape than all of training.

    A named set is compared with that of its name, any other with all.

    Args:
        learned: what :func:`look_at_scales` returned for what is trained on.
        tested: and for what is tested on.
    """
    for name, found in tested.items():
        mates = learned.get(name) or [one for group in learned.values() for one in group]
        odd = next((one for one in found if mates and not any(
            mate.least <= FAR * one.middle and one.middle <= FAR * mate.most
            for mate in mates)), None)
        if odd:
            yield (f'the images{f" of {name}" * bool(name)} are as large as '
                   f'{odd.middle:.0f} x {odd.middle:.0f} pixels in evaluation and as '
                   f'{mates[0].middle:.0f} x {mates[0].middle:.0f} in training (medians of those '
                   'opened, as the model is shown them): was only one of them shrunk? Things are '
                   'then in another size than was learned. Where those of training were cut out '
                   'of images as large as these, all is well')
        elif told := _squashed(mates, found):
            yield f'the images{f" of {name}" * bool(name)} {told}'


def _squashed(learned: Sequence[Scale], tested: Sequence[Scale]) -> str:
    """Say where images of two splits have different shapes, all of one against all of the other."""
    if not learned or not tested:
        return ''
    ranges = [(min(low for low, _ in found), max(high for _, high in found)) for found in (
        [one.shapes for one in group] for group in (learned, tested))]
    (low, high), (other_low, other_high) = ranges
    if not (other_low > SQUASHED * high or low > SQUASHED * other_high):
        return ''
    shown = [f'{one:.2f}' if f'{one:.2f}' == f'{two:.2f}' else f'{one:.2f} to {two:.2f}'
             for one, two in ranges]
    return (f'are {shown[1]} times as long as wide in evaluation and {shown[0]} times in training '
            '(of those opened): were they resized in one of them without keeping their shape? '
            'Things are then narrower than was learned. Where they were cut out, or are of '
            'another camera, all is well')
