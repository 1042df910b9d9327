"""Find images that are used twice: for training and for evaluation, or under two names."""

import filecmp
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache

PART = 1 << 12  # bytes of each file that are compared first
AT_ONCE = 200  # pairs of equally named files that are compared before a run
FEW = 2000  # files of equal size that are compared before a run


def same_files(learned: Iterable[str], tested: Collection[str],
               thorough: bool = False) -> list[tuple[str, str]]:
    """Find pairs of a training image and an evaluated image that are the same file or a copy.

    By default only files of equal name and size are compared, at most ``AT_ONCE`` pairs, which is
    fast enough to run before training.

    Args:
        learned: paths of the training images.
        tested: paths of the evaluated images.
        thorough: find all copies, under any name, by reading all images of equal file size.

    Returns:
        (training image, evaluated image) for each match, in the order of the evaluated images.
    """
    learned = list(learned)
    if thorough:
        return _copies(learned, tested)
    real = _in_real_folders()
    paths = {real(path): path for path in learned}
    by_name = {os.path.basename(path): path for path in learned}
    found, compared = [], 0
    for path in tested:
        same = paths.get(real(path))
        twin = by_name.get(os.path.basename(path)) if same is None else same
        if twin is None:
            continue
        if same is None and not _linked(twin, path):
            if compared >= AT_ONCE:
                continue
            compared += 1
            if not _equal(twin, path):
                continue
        found.append((twin, path))
    return found


def repeated(paths: Sequence[str], thorough: bool = False) -> list[tuple[str, str]]:
    """Find images of one set that are there again, by path, link or copy, under any name.

    Args:
        paths: of all images of the set.
        thorough: compare all files of equal size, not a part of them if there are many.

    Returns:
        (image, the same again) for each.
    """
    sizes: dict[int, list[str]] = {}
    for path in paths:
        if (size := _size(path)) is not None:
            sizes.setdefault(size, []).append(path)
    first: dict[tuple[int, bytes], str] = {}
    found: list[tuple[str, str]] = []
    compared = 0
    for size, those in sizes.items():
        for path in those if len(those) > 1 else ():
            compared += 1
            if compared > FEW and not thorough:
                return found
            key = size, _middle(path, size)
            twin = first.get(key)
            if twin is not None and (twin == path or _linked(twin, path) or _equal(twin, path)):
                found.append((twin, path))
            first.setdefault(key, path)
    return found


def told_repeated(pairs: Sequence[tuple[str, str]], number: int) -> str:
    """Describe what :func:`repeated` found among ``number`` images."""
    one, other = pairs[0]
    return (f'at least {len(pairs)} of the {number} images are there twice, such as {one}'
            f'{"" if one == other else f" and {other}"}: they count twice, perhaps with different '
            'labels')


def told_twice(pairs: Sequence[tuple[str, str]], number: int, split: str = 'val') -> str:
    """Describe the matches among ``number`` evaluated images, or those of another training set."""
    learned, tested = min(pairs)
    twin = '' if learned == tested else f', which is {learned}'
    if split == 'train':
        return (f'{len(pairs)} of the {number} images are in a training set before it too, such as '
                f'{tested}{twin}: they count twice, or with a part of their labels each time')
    kind = 'test' if split == 'test' else 'validation'
    return (f'{len(pairs)} of the {number} {kind} images are training images too, such as '
            f'{tested}{twin}')


def _in_real_folders() -> Callable[[str], str]:
    """What gives a path with its folder written in one way, looked up once a folder."""
    real_folder = cache(os.path.realpath)
    return lambda path: os.path.join(real_folder(os.path.dirname(path)), os.path.basename(path))


def _linked(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # reading the image will report it
        return False


def _equal(one: str, other: str) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _copies(learned: Iterable[str], tested: Iterable[str]) -> list[tuple[str, str]]:
    sizes: dict[int, list[str]] = {}
    for path in learned:
        if (size := _size(path)) is not None:
            sizes.setdefault(size, []).append(path)
    parts: dict[int, dict[bytes, list[str]]] = {}  # only sizes that occur on both sides
    found = []
    for path in tested:
        size = _size(path)
        if size is None or size not in sizes:
            continue
        if size not in parts:
            parts[size] = {}
            for twin in sizes[size]:
                parts[size].setdefault(_middle(twin, size), []).append(twin)
        twins = parts[size].get(_middle(path, size), ())
        same = next((twin for twin in twins if _equal(twin, path)), None)
        if same is not None:
            found.append((same, path))
    return found


def _size(path: str) -> int | None:
    try:
        return os.path.getsize(path)
    except OSError:
        return None


def _middle(path: str, size: int) -> bytes:
    """Return bytes from the middle of a file, which usually differ between images."""
    try:
        with open(path, 'rb') as file:
            file.seek(max(size // 2 - PART // 2, 0))
            return file.read(PART)
    except OSError:
        return b''
