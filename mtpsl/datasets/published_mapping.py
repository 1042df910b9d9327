"""Import of the published partial-label settings, which are pickles, without running them."""

import pickle
import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch

from .label_mapping import LabelMapping

# The reference implementation's task names where they differ from ours.
REFERENCE_NAMES = {'human_parts': 'parsing', 'sal': 'saliency', 'normals': 'normal',
                   'edge': 'boundary'}
PASCAL_TASKS = ('semseg', 'parsing', 'saliency', 'normal', 'boundary')
TASKS_OF_COLUMNS = {5: PASCAL_TASKS, 3: ('semseg', 'depth', 'normal'), 2: ('semseg', 'depth')}

_SCALAR = np.str_().__reduce__()[0]
_ARRAY = np.zeros(0).__reduce__()[0]
# NumPy 2 renamed the package; the published files carry the old name.
_ADMITTED = {(package, function.__name__): function for function in (_SCALAR, _ARRAY)
             for package in ('numpy.core.multiarray', 'numpy._core.multiarray')}
_ADMITTED |= {('numpy', 'ndarray'): np.ndarray, ('numpy', 'dtype'): np.dtype}


def import_published(path: str) -> LabelMapping:
    """Read a published setting.

    ``.npy``: a pickled dict, reference task name -> image ids. ``.pth``: either a dict, image id
    -> zeros and ones of PASCAL's five tasks, or ``{'labels_weights': (N, T) tensor}`` of zeros
    and ones, row i = sample i (whose id is ``str(i)``), T = 3: semseg, depth, normal (NYUD),
    T = 2: semseg, depth (Cityscapes).

    Raises:
        pickle.UnpicklingError: the file holds anything but arrays, strings and containers; the
            message names the file and the forbidden global, which is not called.
        ValueError: another suffix, or contents that are not as above.
    """
    if path.endswith('.npy'):
        return _from_task_lists(path, _read_npy(path))
    if path.endswith('.pth'):
        return _from_rows(path, _read_pth(path))
    raise ValueError(f'a published mapping is a .npy or .pth file, got {path}')


class _ArrayUnpickler(pickle.Unpickler):

    def find_class(self, module: str, name: str) -> object:
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
            content = _ArrayUnpickler(file).load()
            return content.item() if isinstance(content, np.ndarray) else content
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(f'{path}: {error}') from error
        except Exception as error:  # a damaged pickle can raise anything
            raise ValueError(f'{path} is not a published mapping: {error!r}') from error


def _read_pth(path: str) -> object:
    admitted = [(function, f'{module}.{name}') for (module, name), function in _ADMITTED.items()]
    try:
        with torch.serialization.safe_globals([*admitted, np.dtypes.StrDType]):
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r'GLOBAL (\S+)', str(error))
        cause = f'forbidden global {found[1]}' if found else error
        raise pickle.UnpicklingError(f'{path}: {cause}') from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f'{path} is not a published mapping: {error!r}') from error


def _from_task_lists(path: str, content: object) -> LabelMapping:
    allowed = {*PASCAL_TASKS, 'depth', *REFERENCE_NAMES}
    if not isinstance(content, Mapping) or not set(content) <= allowed:
        raise ValueError(f'{path} must hold a dict of {", ".join(sorted(allowed))} -> image ids, '
                         f'got {_describe(content)}')
    mapping = defaultdict(list)
    ours = {REFERENCE_NAMES.get(name, name): ids for name, ids in content.items()}
    for task in (*PASCAL_TASKS, 'depth'):
        for image_id in ours.get(task, ()):
            mapping[str(image_id)].append(task)
    return {image_id: tuple(names) for image_id, names in mapping.items()}


def _from_rows(path: str, content: object) -> LabelMapping:
    if isinstance(content, Mapping) and set(content) == {'labels_weights'}:
        content = dict(enumerate(torch.as_tensor(content['labels_weights']).tolist()))
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} must hold a dict, got {_describe(content)}')
    mapping = {}
    for image_id, row in content.items():
        if not isinstance(row, list) or len(row) not in TASKS_OF_COLUMNS or {*row} - {0, 1}:
            raise ValueError(f'{path}: image {image_id} must have 2, 3 or 5 zeros and ones, got '
                             f'{_describe(row)}')
        tasks = TASKS_OF_COLUMNS[len(row)]
        mapping[str(image_id)] = tuple(task for task, known in zip(tasks, row) if known)
    return mapping


def _describe(value: object) -> str:
    text = repr(value)
    return f'{type(value).__name__} {text if len(text) < 100 else text[:100] + "..."}'
