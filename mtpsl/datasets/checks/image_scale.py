"""Whether images of training and of evaluation show things in one size and in one way."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from mtpsl.datasets.joint import JointDataset
from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.transforms.contract import crops, movers, zooms
from mtpsl.datasets.transforms.probes.probe_scale import stretch_of
from mtpsl.datasets.walks import leaves_of, spread

from .look import AT_LEAST
from .seen_photos import Photo, compare_photos, truncated

FILLED = 0.25  # least share of an input that is image
OBLONG = 1.2  # times as high as wide, at least, that a crop was written the wrong way round
STRETCHED = 1.25  # times as wide, at least, in training or evaluation only
FAR = 1.9  # times as large as any training image is: half as large does not pass for rounding


class Scale(NamedTuple):
    """How large the model is shown images of a dataset, in pixels: the root of height by width.

    Attributes:
        least: the smallest of those that were opened, at the least zoom of the pipeline.
        middle: their median, at the middle of the zooms.
        most: the largest of them, at the largest zoom.
        area: median of what a crop leaves of each at the middle zoom, in square pixels.
        crop: largest height and width that the pipeline leaves; infinity where it does not crop.
        sizes: height and width of each at the largest zoom.
        photos: what was seen of each.
        movers: transforms of the user's that move the image.
    """

    least: float
    middle: float
    most: float
    area: float
    crop: tuple[float, float]
    sizes: Sequence[tuple[float, float]]
    photos: Sequence[Photo]
    movers: Sequence[Callable] = ()


def scales(photos: Sequence[Photo], steps: Sequence[Callable]) -> list[Scale]:
    """The scale in each view of a pipeline; none where no image was opened.

    Args:
        photos: some images as they are read.
        steps: the transforms of the pipeline, built.
    """
    if not photos:
        return []
    sides = [math.sqrt(math.prod(photo.size)) for photo in photos]
    found = []
    for (low, high), (most_height, most_width), own in zip(zooms(steps), crops(steps),
                                                           movers(steps)):
        middle = math.sqrt(low * high)
        areas = [min(height * middle, most_height) * min(width * middle, most_width)
                 for height, width in (photo.size for photo in photos)]
        found.append(Scale(low * min(sides), middle * float(np.median(sides)), high * max(sides),
                           float(np.median(areas)), (most_height, most_width),
                           [(height * high, width * high) for height, width in
                            (photo.size for photo in photos)], photos, own))
    return found


def mostly_padding(learned: Mapping[str, list[Scale]], size: tuple[int, int]) -> Iterator[str]:
    """Where training images fill less than a quarter of the (height, width) they are padded to."""
    for name, found in learned.items():
        share = max((one.area for one in found), default=math.inf) / math.prod(size)
        if share < FILLED:
            yield (f'{1 - share:.0%} of what the model is trained on{f" of {name}" * bool(name)} '
                   f'is padding, since images, after their crop, are padded to '
                   f'data_preprocessor.size={tuple(size)}: the size of RandomCrop goes with it')


def turned_crop(learned: Mapping[str, list[Scale]]) -> Iterator[str]:
    """Where a crop is higher than all images and cuts their width, which would fit turned."""
    for name, found in learned.items():
        for one in found:
            height, width = one.crop
            if height > OBLONG * width and all(
                    height > high >= width and width < wide >= height
                    for high, wide in one.sizes):
                high, wide = one.sizes[0]
                yield (f'the crop of {height:g} x {width:g} (height x width) is higher than any '
                       f'image{f" of {name}" * bool(name)} that was opened, such as one of '
                       f'{high:.0f} x {wide:.0f}, and cuts their width: was it written (width, '
                       f'height)? Sizes are (height, width) here: size=({width:g}, {height:g}) of '
                       'RandomCrop, and data_preprocessor.size likewise')
                break


def look_at_scales(dataset: object) -> dict[str, list[Scale]]:
    """Read eight images of each dataset, always the same: set name, '' of other ones -> scales."""
    named = dataset.sets.items() if isinstance(dataset, JointDataset) else [
        ('', leaf) for leaf in leaves_of(dataset)]
    found: dict[str, list[Scale]] = {}
    for name, leaf in named:
        steps = leaf.pipeline.transforms
        found.setdefault(name, []).extend(scales(list(_photos(leaf)), steps))
    return found


def half_there(shown: Mapping[str, list[Scale]]) -> Iterator[str]:
    """Yield which images of a dataset, of what :func:`look_at_scales` returned, are truncated."""
    for name, found in shown.items():
        for told in truncated(found[0].photos if found else ()):
            yield f'the images{f" of {name}" * bool(name)} {told}'


def _photos(dataset: PartialLabelDataset) -> Iterator[Photo]:
    for index in islice(spread(len(dataset)), AT_LEAST):
        info = dataset.get_data_info(index)
        if read := dataset.read_image(info):
            yield Photo.of(read[0], info['img_id'])


def compare_scales(learned: Mapping[str, list[Scale]],
                   tested: Mapping[str, list[Scale]]) -> Iterator[str]:
    """Where images of evaluation are of another size, shape or colour than all of training.

    A named set is compared with that of its name, any other with all.

    Args:
        learned: what :func:`look_at_scales` returned for what is trained on.
        tested: and for what is tested on.
    """
    for name, found in tested.items():
        mates = learned.get(name) or [one for group in learned.values() for one in group]
        photos, others = ({id(photo): photo for one in group for photo in one.photos}.values()
                          for group in (mates, found))  # once for all views
        for told in compare_photos(list(photos), list(others)):
            yield f'the images{f" of {name}" * bool(name)} {told}'
        if told := _stretched(mates, found):
            yield f'transforms make the images{f" of {name}" * bool(name)}, {told}'
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


def _stretched(learned: Sequence[Scale], tested: Sequence[Scale]) -> str:
    """Whether a view of evaluation makes training's images of another shape than training does."""
    mine, theirs = ([stretch_of(one.movers, learned[0].sizes[0]) for one in part]
                    for part in (learned, tested)) if learned else ([], [])
    odd = [one for one in theirs if not any(1 / STRETCHED < other / one < STRETCHED
                                            for other in mine)]
    return '' if not odd else (
        f'for their height, {mine[0]:.2g} times as wide in training and {odd[0]:.2g} times in '
        'evaluation: the shapes of things are then others than were learned')
