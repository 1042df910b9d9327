"""Reads MATLAB files of all versions; errors name the file and the variable."""

from functools import lru_cache
from math import ceil, prod
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat

CACHE_LIMIT = 256 << 20  # bytes, per variable
_TYPES = {'uint8': 'u1', 'integers': 'u1 u2 u4 u8 i1 i2 i4 i8', 'floats': 'f4 f8',
          'numbers': 'u1 u2 u4 u8 i1 i2 i4 i8 f4 f8', 'cells': 'O'}


def require_file(path: Path) -> None:
    """Raise ValueError if ``path`` is not a file, or is a web page."""
    if not path.is_file():
        raise ValueError(f'{path} is not a file' if path.exists() else f'there is no file {path}')
    with open(path, 'rb') as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b'<!doctype', b'<html', b'<?xml')):
        raise ValueError(f'{path} is a web page, not a MATLAB file: download it again')


@lru_cache(maxsize=1)
def _opened(path: Path, cache: int) -> h5py.File:
    # Slots: a prime, much larger than the number of chunks, as HDF5 advises.
    return h5py.File(path, 'r', rdcc_nbytes=cache, rdcc_nslots=100_003)


def open_hdf5(path: Path, cache: int = 1 << 20) -> h5py.File:
    """Open a MATLAB v7.3 file for reading; it stays open in this process, see :func:`close_hdf5`.

    Args:
        path: the file.
        cache: bytes of chunk cache per variable.

    Raises:
        ValueError: it is not such a file, or is incomplete.
    """
    require_file(path)
    if not h5py.is_hdf5(path):
        raise ValueError(f'{path} is not a MATLAB v7.3 file (HDF5)')
    try:
        return _opened(path, cache)
    except OSError as error:
        raise ValueError(f'{path} is truncated or damaged: {error}') from error


def close_hdf5() -> None:
    """Close the file that :func:`open_hdf5` keeps open in this process."""
    _opened.cache_clear()


def find_array(path: Path, name: str, shape: tuple[int | None, ...],
               types: str) -> h5py.Dataset:
    """Find a variable of a v7.3 file and check it.

    Args:
        path: the file.
        name: the variable.
        shape: in HDF5's order, the reverse of MATLAB's; ``None`` for any length.
        types: accepted types: 'uint8', 'integers', 'floats', 'numbers' or 'cells'.

    Raises:
        ValueError: it is missing, or has another shape or type.
    """
    found = open_hdf5(path).get(name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f'{path} has no variable {name!r}')
    fits = len(found.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, found.shape))
    if not fits or found.dtype not in map(np.dtype, _TYPES[types].split()):
        wanted = ' x '.join('any' if want is None else str(want) for want in reversed(shape))
        have = ' x '.join(map(str, reversed(found.shape)))
        raise ValueError(f'{path}: variable {name!r} is {have} of {found.dtype}, in the order of '
                         f'MATLAB, not {wanted} of {types}')
    return found


def cache_for_one(found: h5py.Dataset) -> int:
    """Return the bytes of the chunks of ``found[i]``, which a cache keeps for the next i."""
    if found.chunks is None:
        return 1 << 20
    inside = prod(ceil(length / chunk) * chunk
                  for length, chunk in zip(found.shape[1:], found.chunks[1:]))
    return min(max(inside * found.chunks[0] * found.dtype.itemsize, 1 << 20), CACHE_LIMIT)


def read_slice(path: Path, name: str, index: int, cache: int) -> np.ndarray:
    """Read ``name[index]`` of a v7.3 file, with axes in MATLAB's order.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return np.asarray(open_hdf5(path, cache)[name][index]).T
    # a damaged file can raise nearly anything
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f'{path}: cannot read number {index + 1} of variable {name!r}, the file '
                         f'is damaged: {error}') from error


def read_strings(path: Path, name: str) -> list[str]:
    """Read a cell array of strings, (1, N), of a v7.3 file.

    Raises:
        ValueError: the variable is something else.
    """
    found = find_array(path, name, (1, None), 'cells')
    file = open_hdf5(path)
    try:
        return [''.join(map(chr, np.asarray(file[reference]).ravel())) for reference in found[0]]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f'{path}: variable {name!r} cannot be read as texts: {error}') from error


def read_numbers(path: Path, names: tuple[str, ...]) -> list[np.ndarray]:
    """Read small variables of a MATLAB file of any version, each as (N,) int64.

    Raises:
        ValueError: the file or a variable is invalid.
    """
    require_file(path)
    if h5py.is_hdf5(path):
        variables = {name: find_array(path, name, (None, None), 'numbers')[()] for name in names}
    else:
        try:
            variables = loadmat(str(path), variable_names=names)
        except Exception as error:  # scipy raises nearly anything on a damaged file
            raise ValueError(f'{path} is not a MATLAB file, or is truncated or damaged: '
                             f'{error}') from error
    found = []
    for name in names:
        values = np.ravel(variables.get(name, ()))
        if name not in variables or values.dtype.kind not in 'iuf':
            raise ValueError(f'{path} has no variable {name!r} of numbers')
        if not np.array_equal(values, np.round(values)):
            raise ValueError(f'{path}: variable {name!r} has values that are not whole numbers')
        found.append(values.astype(np.int64))
    return found
