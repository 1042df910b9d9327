"""Import the published partial-label settings, which are pickles, without executing code."""

import pickle
import re
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mtpsl.data_prep.layouts import TASK_NAMES
from mtpsl.system.choices import PASCAL_TASKS

from .label_mapping import LabelMapping

# The columns of its tables.
TASKS_OF_COLUMNS = {5: PASCAL_TASKS, 3: ('semseg', 'depth', 'normal'), 2: ('semseg', 'depth')}


def import_published(path: str) -> LabelMapping:
    """Read a published setting.

    ``.npy``: a pickled dict, reference task name -> list of image ids. ``.pth``: either a dict,
    image id -> zeros and ones for PASCAL's five tasks, or ``{'labels_weights': (N, T) tensor}`` of
    zeros and ones, row i for image id ``str(i)``, T = 3: semseg, depth, normal (NYUD), T = 2:
    semseg, depth (Cityscapes).

    Raises:
        pickle.UnpicklingError: the file holds anything but arrays, strings and containers; the
            message names the file and the forbidden global, which is not called.
        ValueError: another suffix, or other contents.
        OSError: the file cannot be opened.
    """
    if path.endswith('.npy'):
        return _from_task_lists(path, _read_npy(path))
    if path.endswith('.pth'):
        return _from_rows(path, _read_pth(path))
    raise ValueError(f'a published mapping is a .npy or .pth file, got {path}')


# Stand-ins for the NumPy globals of a pickle: setting the state of a real dtype or array from a
# pickle can make NumPy read arbitrary memory.


class _Dtype:

    def __init__(self, code: str, align: bool, copy: bool) -> None:
        self.code = code
        self.byte_order = '<'

    def __setstate__(self, state: tuple) -> None:
        self.byte_order = state[1]


class _String(str):
    """A NumPy string, built from its dtype and bytes."""

    def __new__(cls, dtype: _Dtype, content: bytes) -> '_String':
        if not isinstance(dtype, _Dtype) or dtype.code[0] != 'U':
            raise pickle.UnpicklingError('forbidden scalar that is no string')
        encoding = 'utf-32-be' if dtype.byte_order == '>' else 'utf-32-le'
        return super().__new__(cls, content.decode(encoding))

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError('forbidden state of a string')


class _Array:
    """An object array; ``elements`` holds its elements."""

    def __init__(self, kind: type, shape: tuple[int, ...], code: bytes) -> None:
        self.elements: list = []

    def __setstate__(self, state: tuple) -> None:
        self.elements = state[4]


# NumPy 2 renamed the package; the published files use the old name.
_ADMITTED: dict[tuple[str, str], type] = {
    (f'numpy.{package}.multiarray', name): stub for package in ('core', '_core')
    for name, stub in (('scalar', _String), ('_reconstruct', _Array))}
_ADMITTED |= {('numpy', 'ndarray'): _Array, ('numpy', 'dtype'): _Dtype}


class _StubUnpickler(pickle.Unpickler):

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f'forbidden global {module}.{name}')
        return _ADMITTED[module, name]


def _read_npy(path: str) -> object:
    with open(path, 'rb') as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                           (2, 0): np.lib.format.read_array_header_2_0}[version]
            read_header(file)
            content = _StubUnpickler(file).load()
            return content.elements[0] if isinstance(content, _Array) else content
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(f'{path}: {error}') from error
        except Exception as error:  # a damaged pickle can raise anything
            raise ValueError(f'{path} is not a published mapping: {error!r}') from error


def _read_pth(path: str) -> object:
    admitted: list[Any] = [(stub, f'{module}.{name}') for (module, name), stub in _ADMITTED.items()]
    with open(path, 'rb') as file:
        try:
            with torch.serialization.safe_globals(admitted):
                return torch.load(file, map_location='cpu', weights_only=True)
        except pickle.UnpicklingError as error:
            # Do not show the rest of torch's message: it advises to run the file's code.
            name = re.search(r'GLOBAL (\S+)', str(error))
            detail = re.search(r'WeightsUnpickler error: (.*)', str(error))
            cause = (f'forbidden global {name[1]}' if name else
                     f'not a published mapping ({detail[1] if detail else "no weights file"})')
            raise pickle.UnpicklingError(f'{path}: {cause}') from error
        except Exception as error:  # a damaged pickle can raise anything
            raise ValueError(f'{path} is not a published mapping: {error!r}') from error


def _from_task_lists(path: str, content: object) -> LabelMapping:
    allowed = {*TASK_NAMES, *TASK_NAMES.values()}
    if not isinstance(content, Mapping) or not content or not set(content) <= allowed:
        raise ValueError(f'{path} must hold a dict of {", ".join(sorted(allowed))} -> image ids, '
                         f'got {_describe(content)}')
    ours = {TASK_NAMES.get(name, name): ids for name, ids in content.items()}
    if len(ours) < len(content):
        raise ValueError(f'{path} names a task twice: {", ".join(content)}')
    mapping: dict[str, list[str]] = {}
    for task in (*PASCAL_TASKS, 'depth'):
        ids = ours.get(task, [])
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
            raise ValueError(f'{path}: {task} must have a list of image ids, got {_describe(ids)}')
        if len(set(ids)) < len(ids):
            raise ValueError(f'{path}: {task} names an image twice')
        for image_id in ids:
            mapping.setdefault(str(image_id), []).append(task)
    if not mapping:
        raise ValueError(f'{path} names no image')
    return {image_id: tuple(names) for image_id, names in mapping.items()}


def _from_rows(path: str, content: object) -> LabelMapping:
    if isinstance(content, Mapping) and set(content) == {'labels_weights'}:
        weights = content['labels_weights']
        if not isinstance(weights, torch.Tensor) or weights.ndim != 2:
            raise ValueError(f'{path}: labels_weights must be an (N, T) tensor, got '
                             f'{_describe(weights)}')
        content = dict(enumerate(weights.tolist()))
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f'{path} must hold a dict of images, got {_describe(content)}')
    mapping: LabelMapping = {}
    columns = set()
    for image_id, row in content.items():
        if not isinstance(image_id, (str, int)) or str(image_id) in mapping:
            raise ValueError(f'{path}: image ids must be names or numbers, each given once, got '
                             f'{_describe(image_id)}')
        if not _is_row(row):
            raise ValueError(f'{path}: image {image_id} must have 2, 3 or 5 zeros and ones, got '
                             f'{_describe(row)}')
        columns.add(len(row))
        tasks = TASKS_OF_COLUMNS[len(row)]
        mapping[str(image_id)] = tuple(task for task, known in zip(tasks, row) if known)
    if len(columns) > 1:
        raise ValueError(f'{path}: all images must have equally many zeros and ones, got rows of '
                         f'{" and ".join(map(str, sorted(columns)))}')
    return mapping


def _is_row(row: object) -> bool:
    return (isinstance(row, list) and len(row) in TASKS_OF_COLUMNS
            and all(isinstance(value, (int, float)) and value in (0, 1) for value in row))


def _describe(value: object) -> str:
    return f'{type(value).__name__} {reprlib.repr(value)}'
