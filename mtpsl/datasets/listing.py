"""Listings of folders of images and of labels."""

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable

from mmengine.logging import print_log

from .photo import COMPANIONS, IMAGE_SUFFIXES, is_image, why_left_out

LABEL_SUFFIXES = ('png', 'npy')
SHOWN = 3  # names in an error
_DIGITS = re.compile(r'\d+')


def list_images(folder: str, twice: str = 'raise') -> dict[str, str]:
    """The images of a folder: id (the file's name without suffix) -> file name.

    They come in natural order (0, 1, 2, 10). Hidden files do not count, nor do those with a suffix
    that is not one of ``IMAGE_SUFFIXES``, in any case (or of HEIC files, where these can be read).
    What may be meant for an image and is left out, sub-folders too, is logged as a warning.

    Args:
        folder: the folder.
        twice: what is done with several images of one id: ``'raise'``, or, with a warning,
            ``'leave'`` them out or take the ``'first'`` by name.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
        ValueError: two images with one id.
    """
    if not os.path.isdir(folder):
        parent = os.path.dirname(os.path.normpath(folder)) or '.'
        beside = os.listdir(parent) if os.path.isdir(parent) else ()
        raise FileNotFoundError(f'there is no folder of images {folder}; in {parent} there '
                                f'is: {examples(name for name in beside if name[0] != ".")}')
    found: dict[str, str] = {}
    several: dict[str, set[str]] = {}
    others: dict[str, list[str]] = {}
    files, folders = _entries(folder)
    for name in files:
        image_id, _, suffix = name.rpartition('.')
        if image_id and is_image(suffix.lower()):
            if image_id in found:
                several.setdefault(image_id, {found[image_id]}).add(name)
            found[image_id] = min(name, found.get(image_id, name))
        elif image_id and (why := why_left_out(suffix.lower())):
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
        raise FileNotFoundError(f'the folder {folder} holds no image, no file of a type '
                                f'{", ".join(IMAGE_SUFFIXES)}{left_out}')
    if left:
        print_log(f'left out of the folder of images {folder}: {"; ".join(left)}', logger='current',
                  level=logging.WARNING)
    return {image_id: found[image_id] for image_id in sorted(found, key=_natural)}


def list_labels(folder: str, ids: Collection[str],
                on_error: str = 'raise') -> tuple[dict[str, str], list[str]]:
    """The label files of a folder that belong to ``ids``, id -> file name, and those of no id.

    None without a folder. With ``on_error='skip'`` an id that has two has none, with a warning.
    Folders in it, and files of no id that may be meant for labels but are of another type, are left
    out with a warning.

    Raises:
        ValueError: a file of one of the ids that is no .png or .npy, or an id with both.
    """
    found: dict[str, str] = {}
    foreign, twice, strangers = [], set(), []
    files, folders = _entries(folder) if os.path.isdir(folder) else ([], [])
    others: list[str] = []
    as_spelt = spellings(ids)
    for name in files:
        image_id, _, suffix = name.rpartition('.')
        image_id = as_spelt(image_id)
        is_label = suffix.lower() in LABEL_SUFFIXES
        if image_id not in ids:
            strangers += [name] * is_label
            others += [name] * (bool(image_id) and not is_label
                                and suffix.lower() not in COMPANIONS)
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
    """From a name to the id that it is: systems write one accented letter in several ways."""
    forms = {unicodedata.normalize('NFC', name): name for name in ids if not name.isascii()}

    def as_spelt(name: str) -> str:
        if name.isascii() or name in ids:
            return name
        return forms.get(unicodedata.normalize('NFC', name), name)
    return as_spelt


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, hidden ones left out."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[0] != '.':
                # A broken link is no folder: reading it will say so.
                (folders if entry.is_dir() else files).append(entry.name)
    return files, folders


def _natural(name: str) -> tuple[str, str]:
    """Sort key by which numbers in names count as numbers."""
    return _DIGITS.sub(_number_key, name), name


def _number_key(match: re.Match) -> str:
    digits = match[0].lstrip('0')
    return f'{len(digits):03}{digits}'  # a longer number is larger; names are at most 255 long


def examples(names: Iterable[str]) -> str:
    """The first few names."""
    ordered = sorted(names, key=_natural)
    return ', '.join(ordered[:SHOWN]) + ', ...' * (len(ordered) > SHOWN) if ordered else 'none'
