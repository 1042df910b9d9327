"""The files that a run learns from, a fixed sample of many, to tell when they were written anew."""

import os
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from mtpsl.datasets.walks import spread

SIZES, CONTENTS = 200, 32  # images of whose files the size is kept; a checksum too
# What of this package is part of a training.
TRAINING = ('datasets', 'engine', 'evaluation', 'models', 'structures', 'tasks')
PART = 1 << 16  # bytes that are read at the beginning, the middle and the end of a file


def files_of(dataset: Dataset) -> dict[str, list[int]]:
    """Sizes, and of some files checksums, by image and task: the same for copies elsewhere.

    Args:
        dataset: any; nothing is known of one without ``get_data_info``.
    """
    found = {}
    for name, path, read in _files(dataset):
        try:
            found[name] = [os.stat(path).st_size, *([_checksum(path)] if read else [])]
        except OSError:
            continue  # no file of this machine; a training says what it cannot read
    return found


def other_files(before: Mapping[str, list[int]], dataset: Dataset,
                whose: str = 'the run had') -> str:
    """How files are unlike those that a run began with: a sentence; '' where none is.

    Args:
        before: :func:`files_of` of the run's dataset.
        dataset: that of now.
        whose: the words for the files before.
    """
    now = files_of(dataset)
    other = unlike(before, now)
    if not other:
        return ''
    path = next(path for name, path, _ in _files(dataset) if name == other[0])
    return (f'{len(other)} of {len(before.keys() & now.keys())} images and labels that are '
            f'compared are other files than {whose}, such as {path} '
            f'({_how(before[other[0]], now[other[0]])})')


def unlike(before: Mapping[str, list[int]], now: Mapping[str, list[int]]) -> list[str]:
    """Names of the files of both that differ, of two :func:`files_of`.

    Of images in another order other files were read: of those the sizes are compared.
    """
    return [name for name in now if name in before
            and any(one != other for one, other in zip(now[name], before[name]))]


def trained_on(before: Mapping[str, list[int]], dataset: Dataset) -> list[str]:
    """Ids of a dataset's images that a run learned from: of one id and content, of those known.

    Args:
        before: :func:`files_of` of the run's training data.
        dataset: what is to be tested on.
    """
    known = {name.rpartition(' image ')[0]: content for name, content in before.items()
             if name.endswith(' image 0') and len(content) > 1}
    found = []
    for index in range(len(dataset)):  # type: ignore[arg-type]
        info = dataset.get_data_info(index)  # type: ignore[attr-defined]
        name, path = str(info.get('img_id')), info.get('img_path')
        if name not in known or not isinstance(path, str):
            continue
        try:
            if [os.stat(path).st_size, _checksum(path)] == known[name]:
                found.append(name)
        except OSError:
            continue
    return found


def code_of(cfg: Mapping) -> dict[str, int]:
    """A checksum of each package of ours that trains, and of each module that a config imports."""
    named = (cfg.get('custom_imports') or {}).get('imports') or []
    files = {name: getattr(sys.modules.get(name), '__file__', None) or ''
             for name in ([named] if isinstance(named, str) else named)}
    return _own_code() | {name: _checksum_of_code(Path(file)) for name, file in files.items()
                          if os.path.isfile(file)}


@cache
def _own_code() -> dict[str, int]:
    """As it was when it was first asked for: what is changed later is loaded already."""
    package = Path(__file__).parents[2]
    return {f'{package.name}.{name}': _checksum_of_code(package / name / '__init__.py')
            for name in TRAINING}


def _checksum_of_code(path: Path) -> int:
    """Of a module, of a package all of its files."""
    parts = sorted(path.parent.rglob('*.py')) if path.stem == '__init__' else [path]
    # An editor's lock may be a link to nothing.
    return zlib.crc32(b''.join(part.read_bytes() for part in parts
                               if part.is_file() and part.name[0] != '.'))


def file_of(path: str) -> dict[str, Any]:
    """The name of a single file, and its size and checksum: see :func:`other_file`."""
    return dict(path=path, content=[os.stat(path).st_size, _checksum(path)])


def other_file(before: Mapping[str, Any], path: str) -> str:
    """How a file is unlike the one that a run began with: a sentence; '' where it is not.

    Args:
        before: :func:`file_of` of the run's file, there or elsewhere.
        path: that of now.
    """
    now = file_of(path)['content']
    return '' if now == before['content'] else (
        f'{path} is another file than the {before["path"]} of the run '
        f'({_how(before["content"], now)})')


def _how(before: Sequence[int], now: Sequence[int]) -> str:
    same = before[0] == now[0]
    return 'other content' if same else f'{now[0]} bytes for {before[0]}'


def _files(dataset: Dataset) -> Iterator[tuple[str, str, bool]]:
    """Of files of a fixed sample of images: a name, the path and whether it is to be read."""
    if not hasattr(dataset, 'get_data_info'):
        return
    for number, index in zip(range(SIZES), spread(len(dataset))):  # type: ignore[arg-type]
        info = dataset.get_data_info(index)
        paths = {'image': [info.get('img_path')], **(info.get('labels') or {})}
        for kind, files in paths.items():
            for place, path in enumerate(files):
                if isinstance(path, str):
                    yield f'{info.get("img_id")} {kind} {place}', path, number < CONTENTS


def _checksum(path: str) -> int:
    value, size = 0, os.stat(path).st_size
    with open(path, 'rb') as file:
        for start in sorted({0, max(0, (size - PART) // 2), max(0, size - PART)}):
            file.seek(start)
            value = zlib.crc32(file.read(PART), value)
    return value
