"""Reads checkpoints without running code in them; raises where one does not fit the model.

mmengine only logs what differs, and runs code of files that it cannot load safely.
"""

import json
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import safetensors
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import get_torchvision_models
from torch import Tensor

from mtpsl.system.files import stands_in, user_path

from .checkpoint_file import checkpoint_file

SHOWN = 5
# Entries of a checkpoint's meta: fingerprint of the run's config (see ``resume``), the order of its
# tasks, a digest of its training data (see ``ranks.content_of``), and some of its files, its
# teacher's and the user's code (see ``data_files``).
RUN_KEY, TASKS_KEY, DATA_KEY = 'mtpsl_run', 'mtpsl_tasks', 'mtpsl_data'
FILES_KEY, TEACHER_KEY, CODE_KEY = 'mtpsl_files', 'mtpsl_teacher', 'mtpsl_code'


def _statistic(owner: object, name: str) -> object:
    """``getattr``, limited to the statistics of a logged curve."""
    if owner is not HistoryBuffer and not isinstance(owner, HistoryBuffer):
        raise pickle.UnpicklingError(f'getattr of {owner!r} is not for a checkpoint')
    return getattr(owner, name)


# Types in a runner's checkpoint besides tensors: logged curves are arrays of numbers.
SAFE = [HistoryBuffer, (_statistic, 'builtins.getattr'), slice, np.ndarray, np.dtype,
        np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0],
        *(type(np.dtype(kind)) for kind in ('float64', 'int64', 'uint32'))]


def read_content(path: str) -> Mapping:
    """Read a checkpoint onto the meta device: tensors without values. Never runs code in the file.

    A start looks at the same file for one reason after the other; it is parsed once, and again
    where it was written anew.

    Returns:
        Its content, which others have as well: not to be changed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or a damaged one; or mmengine would run code in it.
    """
    file = checkpoint_file(path).stat()
    return _content(path, (file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns,
                           file.st_ctime_ns))


@lru_cache(maxsize=4)  # the run's own, its teacher's and two to compare
def _content(path: str, version: tuple[int, ...]) -> Mapping:
    content = load_file(path, 'meta')
    if not isinstance(content, Mapping) or not isinstance(content.get('state_dict', {}), Mapping):
        kind = type(content.get('state_dict') if isinstance(content, Mapping) else content)
        raise ValueError(f'{path} is not a checkpoint: where weights by name should be it has a '
                         f'{kind.__name__}')
    foreign = [key for key in content.get('state_dict', content) if not isinstance(key, str)]
    if foreign or not isinstance(content.get('meta') or {}, Mapping):
        raise ValueError(f'{path} is not a checkpoint: ' + (
            f'weights have names, it has the key {foreign[0]!r}' if foreign else 'its meta is no '
            f'dict, but {type(content["meta"]).__name__}'))
    if 'config' in (content.get('meta') or {}):
        raise ValueError(f"{path} has the entry meta['config'], a text that mmengine would run as "
                         'Python; remove the entry if you need this file')
    return MappingProxyType(content)


def load_file(path: str, map_location: str | torch.device | Callable | None = None) -> object:
    """Load a file of tensors, numbers and logged curves; refuse one with other content.

    Where the file has the order of its tasks, the weights get it as metadata. A ``.safetensors``
    file is read by its own library, on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or a damaged one; or weights that are not finite.
    """
    content = _read(path, map_location)
    if map_location != 'meta':
        refuse_not_finite(path, content)
    return _with_order(content)


def _read(path: str, map_location: str | torch.device | Callable | None = None,
          mmap: bool = False) -> object:
    file = checkpoint_file(path)
    try:
        if file.suffix == '.safetensors':
            return _read_safetensors(file)
        with torch.serialization.safe_globals(SAFE):
            return torch.load(file, map_location, weights_only=True, mmap=mmap)
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f'{path} is not a checkpoint, or it is damaged: '
                         f'{stands_in(file) or _cause(error)}') from error


def _read_safetensors(path: Path) -> dict:
    with safetensors.safe_open(path, 'pt') as file:
        told = file.metadata() or {}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    meta = {TASKS_KEY: json.loads(told[TASKS_KEY])} if TASKS_KEY in told else {}
    return dict(state_dict=weights, meta=meta | (
        {RUN_KEY: told[RUN_KEY]} if RUN_KEY in told else {}))


def check_finite(path: str) -> None:
    """Raise ValueError if weights of a checkpoint are not finite; read nothing else of it."""
    refuse_not_finite(path, _mapped(path))


def read_weights(path: str) -> dict[str, Tensor]:
    """Return the weights of a checkpoint by name, on the CPU; read nothing else of it."""
    content = _mapped(path)
    return weights_of(content) if isinstance(content, Mapping) else {}


def _mapped(path: str) -> object:
    return _read(path, 'cpu', mmap=zipfile.is_zipfile(user_path(path)))


def refuse_not_finite(path: str, content: object) -> None:
    """Raise ValueError if weights of a loaded checkpoint are not finite."""
    weights = content.get('state_dict', content) if isinstance(content, Mapping) else {}
    names = not_finite(weights) if isinstance(weights, Mapping) else []
    if names:
        raise ValueError(f'{path} holds weights that are not finite, {name_some(names)}: the '
                         'training that wrote it had failed; take an earlier checkpoint')


def not_finite(weights: Mapping[str, object]) -> list[str]:
    """Return the names of tensors with NaN or infinity, except attention masks of 0 and -inf."""
    return [name for name, value in weights.items()
            if isinstance(value, Tensor) and value.is_floating_point()
            and not value.isfinite().all() and not (value.isneginf() | (value == 0)).all()]


def name_some(names: Sequence[str]) -> str:
    """Return the number of names and the first few."""
    return f'{len(names)} of them: {", ".join(names[:SHOWN])}' + (
        ' ...' if len(names) > SHOWN else '')


def task_order(content: Mapping) -> list[str] | None:
    """Return the order of the tasks in a checkpoint's model; None if the file does not say."""
    meta = content.get('meta') or {}
    if not isinstance(meta, Mapping):  # not a checkpoint: its reader raises
        return None
    if TASKS_KEY in meta:
        return list(meta[TASKS_KEY])
    weights = content.get('state_dict', content)
    told = getattr(weights, '_metadata', {}).get('', {}).get('tasks')
    if told is None and RUN_KEY in meta:  # before 1.0 it was the config's
        run = json.loads(meta[RUN_KEY])
        told = run.get('model', {}).get('tasks') or run.get('tasks')
    return None if told is None else list(told)


def _with_order(content: object) -> object:
    """Return the checkpoint with the order of its tasks in the metadata of its weights.

    Weights alone, as ``torch.save(model.state_dict())`` writes, become a checkpoint: hooks of
    mmengine look for its key.
    """
    if isinstance(content, Mapping) and content and all(
            isinstance(value, Tensor) for value in content.values()):
        content = dict(state_dict=content)
    order = task_order(content) if isinstance(content, Mapping) else None
    if order is None or 'state_dict' not in content:  # type: ignore[operator]
        return content
    weights = content['state_dict']  # type: ignore[index]
    metadata = OrderedDict(getattr(weights, '_metadata', {}))
    metadata[''] = metadata.get('', {}) | dict(tasks=order)
    weights = OrderedDict(weights)
    weights._metadata = metadata  # type: ignore[attr-defined]  # torch's own place for such
    return {**content, 'state_dict': weights}  # type: ignore[dict-item]


def load_url(url: str, map_location: str | torch.device | Callable | None = None) -> object:
    """Load a URL, see :func:`load_file`; rank 0 downloads, the others read torch's cache."""
    def load() -> object:
        with torch.serialization.safe_globals(SAFE):
            return torch.hub.load_state_dict_from_url(url, map_location=map_location,
                                                      weights_only=True)
    if is_main_process():
        content = load()
    barrier()
    content = content if is_main_process() else load()
    refuse_not_finite(url, content)
    return _with_order(content)


def load_torchvision(name: str, map_location: str | torch.device | Callable | None = None
                     ) -> object:
    """Load ``torchvision://NAME``, see :func:`load_file`."""
    return load_url(get_torchvision_models()[name.partition('://')[2]], map_location)


def refuse_scheme(name: str, map_location: str | torch.device | Callable | None = None) -> None:
    raise ValueError(f'{name}: weights are read from files, http:// and torchvision:// only; '
                     'download the file and name it')


def check_whole(path: str) -> None:
    """Verify the checksums of all parts of a checkpoint.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged.
    """
    file = checkpoint_file(path)
    if not zipfile.is_zipfile(file):  # truncated, or torch's format before 2020
        read_content(path)
        return
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f'{path} is damaged: {str(error) or type(error).__name__}') from error
    if broken:
        raise ValueError(f'{path} is damaged: its part {broken} is not what was written')


def _cause(error: Exception) -> str:
    """Return the cause without torch's advice to load the file anyway."""
    foreign = re.search(r'GLOBAL ([\w.]+)', str(error))
    if foreign:
        return f'it holds {foreign[1]}, which is neither tensor nor number and is not loaded'
    if isinstance(error, (KeyError, IndexError, EOFError, pickle.UnpicklingError)):
        return 'torch did not write it'
    return str(error).partition('\n')[0] or type(error).__name__


def read_shapes(path: str) -> dict[str, torch.Size]:
    """Return the shapes of the weights in a checkpoint by name, see :func:`read_content`."""
    return {key: value.shape for key, value in weights_of(read_content(path)).items()}


def weights_of(content: Mapping) -> dict[str, Tensor]:
    return {key.removeprefix('module.'): value
            for key, value in content.get('state_dict', content).items()
            if isinstance(value, Tensor)}
