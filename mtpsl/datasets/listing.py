"""Listings of image and label folders."""

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from operator import attrgetter

from mmengine.logging import print_log

from .photo import COMPANION_NAMES, COMPANIONS, IMAGE_SUFFIXES, is_image, why_left_out

LABEL_SUFFIXES = ('png', 'npy')
SHOWN = 3  # names in an error message
_DIGITS = re.compile(r'\d+')


def list_images(folder: str, twice: str = 'raise') -> dict[str, str]:
    """List the images of a folder: id (file name without suffix) -> file name.

    The order is natural (0, 1, 2, 10). Hidden files and files whose suffix is not in
    ``IMAGE_SUFFIXES`` are ignored (HEIC counts if it can be read; case does not matter). Ignored
    files that may be images, and sub-folders, are logged as a warning.

    Args:
        folder: the folder.
        twice: how to treat several images with one id: ``'raise'``, or, with a warning, ``'leave'``
            them out or take the ``'first'`` by name.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: two images with one id.
    """
    if not os.path.isdir(folder):
        parent = os.path.dirname(os.path.normpath(folder)) or '.'
        beside = os.listdir(parent) if os.path.isdir(parent) else ()
        above = os.path.join(os.path.dirname(parent), os.path.basename(os.path.normpath(folder)))
        raise FileNotFoundError(f'there is no folder of images {folder}; in {parent} there '
                                f'is: {examples(name for name in beside if name[0] != ".")}'
                                + f'. {above} is there: is data_root or split one folder too deep?'
                                * os.path.isdir(above))
    found: dict[str, str] = {}
    several: dict[str, set[str]] = {}
    others: dict[str, list[str]] = {}
    files, folders = _entries(folder)
    for name in files:
        image_id, suffix = _parts(name)
        if is_image(suffix):
            if image_id in found:
                several.setdefault(image_id, {found[image_id]}).add(name)
            found[image_id] = min(name, found.get(image_id, name))
        elif (why := why_left_out(suffix)) and name.lower() not in COMPANION_NAMES:
            others.setdefault(why, []).append(name)
    left = [f'{len(names)} of a type that is not read ({examples(names)}): {why}'
            for why, names in others.items()]
    if folders:
        left.append(f'folders in it ({examples(folders)})')
    left_out = f'; left out: {"; ".join(left)}' if left else ''
    alike = examples(name for names in several.values() for name in names)
    if several and twice == 'raise':
        raise ValueError(f'the folder {folder} has several images with one id (the name without '
                         f'suffix): {alike}')
    if several:
        left.append(f'several images with one id ({alike})' + ' but the first' * (twice == 'first'))
    if twice == 'leave':
        found = {image_id: name for image_id, name in found.items() if image_id not in several}
    if not found:
        raise FileNotFoundError(f'the folder {folder} holds no image of the types '
                                f'{", ".join(IMAGE_SUFFIXES)}{left_out}')
    if left:
        print_log(f'left out of the folder of images {folder}: {"; ".join(left)}', logger='current',
                  level=logging.WARNING)
    return {image_id: found[image_id] for image_id in sorted(found, key=_natural)}


def list_labels(folder: str, ids: Collection[str],
                on_error: str = 'raise') -> tuple[dict[str, str], list[str]]:
    """List the label files of a folder: id -> file name, and the files that match no id.

    A missing folder has none. With ``on_error='skip'`` an id with two files is left out with a
    warning. Sub-folders, and files of other types that may be labels but match no id, are left out
    with a warning.

    Raises:
        ValueError: a file of one of the ids is no .png or .npy, or an id has both.
    """
    found: dict[str, str] = {}
    foreign, twice, strangers = [], set(), []
    files, folders = _entries(folder) if os.path.isdir(folder) else ([], [])
    others: list[str] = []
    as_spelt = spellings(ids)
    for name in files:
        image_id, suffix = _parts(name)
        image_id = as_spelt(image_id)
        is_label = suffix in LABEL_SUFFIXES
        if image_id not in ids:
            strangers += [name] * is_label
            others += [name] * (not is_label and suffix not in COMPANIONS
                                and name.lower() not in COMPANION_NAMES)
            continue
        if not is_label:
            foreign.append(name)
        elif image_id in found:
            twice |= {name, found[image_id]}
        found[image_id] = name
    if foreign:
        raise ValueError(f'labels must be .png or .npy (a .jpg is lossy and would change class '
                         f'ids), the folder {folder} has {examples(foreign)}')
    left = [f'{what} ({examples(names)})' for what, names in (
        ('folders in it', folders), (f'{len(others)} files that are no .png or .npy', others))
        if names]
    if left:
        print_log(f'left out of the folder of labels {folder}: {"; ".join(left)}', logger='current',
                  level=logging.WARNING)
    if twice:
        text = f'the folder {folder} has two labels of one image: {examples(twice)}'
        if on_error != 'skip':
            raise ValueError(f'{text}; which one counts?')
        print_log(f'{text}; they are left out', logger='current', level=logging.WARNING)
        found = {i: name for i, name in found.items() if name not in twice}
    return found, strangers


def spellings(ids: Collection[str]) -> Callable[[str], str]:
    """Return a function name -> matching id: systems encode accented letters differently."""
    forms = {unicodedata.normalize('NFC', name): name for name in ids if not name.isascii()}

    def as_spelt(name: str) -> str:
        if name.isascii() or name in ids:
            return name
        return forms.get(unicodedata.normalize('NFC', name), name)
    return as_spelt


def _parts(name: str) -> tuple[str, str]:
    """Return the id of a file, its name without suffix, and the suffix in lower case."""
    stem, _, suffix = name.rpartition('.')
    return (stem, suffix.lower()) if stem else (name, '')


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Return the sorted names of files and of sub-folders in a folder, without hidden ones."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=attrgetter('name')):
            if entry.name[0] != '.':
                # Treat a broken link as a file: reading it reports the fault.
                (folders if entry.is_dir() else files).append(entry.name)
    return files, folders


def _natural(name: str) -> tuple[str, str]:
    """Return a sort key that compares the numbers in names by value."""
    return _DIGITS.sub(_number_key, name), name


def _number_key(match: re.Match) -> str:
    digits = match[0].lstrip('0')
    return f'{len(digits):03}{digits}'  # a longer number is larger; names have at most 255 letters


def examples(names: Iterable[str]) -> str:
    """Return the first few names, joined by commas."""
    ordered = sorted(names, key=_natural)
    return ', '.join(ordered[:SHOWN]) + ', ...' * (len(ordered) > SHOWN) if ordered else 'none'
