"""Annotations and images -> a folder that trains, image by image."""

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mtpsl.data_prep.resumable import Plan, carry_out, check_folder
from mtpsl.system.files import atomically, write_array, write_image

from .matching import Match, match_images
from .painting import Rules, paint
from .places import check_places
from .sources import Annotations
from .summary import summarise

VERSION = 1  # of the conversion: raise it when the same source no longer gives the same files


class Target(NamedTuple):
    """Where labels of a task lie, and how they are written.

    Attributes:
        images: folder of the images.
        labels: folder of the labels.
        classes: names in the order of their ids.
        mask: whether the task takes a yes or no.
        array: whether labels are arrays, so that 255 is unknown in a mask; else they are
            pictures, masks black and white.
    """

    images: Path
    labels: Path
    classes: Sequence[str]
    mask: bool
    array: bool = False


@dataclass(frozen=True, eq=False)
class Item:
    """An image to write.

    Attributes:
        match: the image and its annotations.
        copy: where it is copied to; None where it lies there.
        label: file of its label; None where it has none.
    """

    match: Match
    copy: Path | None
    label: Path | None

    def paths(self) -> list[Path]:
        """The files to write."""
        return [path for path in (self.copy, self.label) if path]


def convert_annotations(found: Annotations, images: Path, listed: Mapping[str, str],
                        target: Target, rules: Rules, settings: Mapping[str, object],
                        workers: int, empty: bool = False, missing: bool = False) -> int:
    """Write the labels that are not there yet, copy the images, and print what there is then.

    Args:
        found: the annotations; all their labels must have a meaning.
        images: folder of the images.
        listed: id -> file name of the images in it, of those without annotations too.
        target: where to.
        rules: how shapes become maps.
        settings: what else the result depends on, for the manifest.
        workers: processes, at least 1.
        empty: whether an image that is listed without a shape to draw is labelled, by what is
            outside of shapes; else it is unlabelled.
        missing: leave out what is listed without being there, rather than refuse it.

    Returns:
        Number of images written, 0 if all were there.

    Raises:
        ValueError: images and annotations that do not fit, see :func:`.places.check_places` too;
            a folder that holds something else.
        OSError: a file cannot be read or written.
        BrokenProcessPool: a worker died.
    """
    matches, absent = match_images(found, images, listed, missing)
    check_places(matches)
    items = [_item(match, target, rules, empty) for match in matches]
    plan = Plan(
        target.labels, 'conversion', '.labels', dict(
            settings, conversion_version=VERSION, source=found.digest,
            classes=list(target.classes), outside=rules.outside, empty=empty,
            meanings=dict(sorted(rules.meanings.items())), by_area=rules.by_area,
            line_width=rules.line_width, images=len(items)), items, Item.paths, 'images')
    check_folder(plan)
    _check_copies(items)
    return carry_out(plan, partial(_write, rules, target.mask and not target.array), workers,
                     lambda: summarise(items, found, target, rules, empty, absent, workers))


def _item(match: Match, target: Target, rules: Rules, empty: bool) -> Item:
    copy: Path | None = target.images / match.image.name
    if copy is not None and copy.exists() and copy.samefile(match.image):
        copy = None
    labelled = match.annotated is not None and (empty or bool(rules.drawn(match.annotated)))
    name = f'{match.image.stem}.{"npy" if target.array else "png"}'
    return Item(match, copy, target.labels / name if labelled else None)


def _check_copies(items: Sequence[Item]) -> None:
    """Raise ValueError where another image has the place of one."""
    folders = {item.copy.parent for item in items if item.copy}
    there = {path.stem: path for folder in folders if folder.is_dir()
             for path in folder.iterdir() if path.name[0] != '.'}
    other = [there[item.copy.stem] for item in items if item.copy and item.copy.stem in there
             and (there[item.copy.stem].name != item.copy.name
                  or not filecmp.cmp(there[item.copy.stem], item.match.image))]
    if other:
        raise ValueError(f'{len(other)} images of the same name but of other content are in '
                         f'{other[0].parent}, such as {other[0].name}: nothing is overwritten')


def _write(rules: Rules, black_and_white: bool, item: Item) -> None:
    match = item.match
    if item.copy and not item.copy.exists():
        atomically(item.copy, lambda name: shutil.copy2(match.image, name))
    if item.label is None or match.annotated is None or item.label.exists():
        return
    try:
        label = paint(match.annotated, match.drawn_on, rules, match.orientation)
    except (OSError, ValueError, LookupError, ArithmeticError) as error:
        raise ValueError(f'{match.annotated.source}, image {match.annotated.name}: '
                         f'{type(error).__name__} {error}') from error
    if item.label.suffix == '.npy':
        write_array(item.label, label)
    else:
        write_image(item.label, label * np.uint8(255) if black_and_white else label)
