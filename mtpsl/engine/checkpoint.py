"""Reading checkpoints: nothing in them is run, and one that does not fit the model is an error.

mmengine only logs what differs, and loads what it cannot load safely by running it.
"""

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, get_torchvision_models
from torch import Tensor, nn

SHOWN = 5


def _statistic(owner: object, name: str) -> object:
    """``getattr`` as far as a logged curve needs it: its own statistics, by name."""
    if owner is not HistoryBuffer and not isinstance(owner, HistoryBuffer):
        raise pickle.UnpicklingError(f'getattr of {owner!r} is not for a checkpoint')
    return getattr(owner, name)


# What a runner's checkpoint holds beside tensors: the logged curves, as arrays of numbers.
SAFE = [HistoryBuffer, (_statistic, 'builtins.getattr'), slice, np.ndarray, np.dtype,
        np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0],
        *(type(np.dtype(kind)) for kind in ('float64', 'int64', 'uint32'))]


def check_checkpoint(path: str, model: nn.Module) -> None:
    """Raise unless a checkpoint holds exactly the model's weights. No weight is read.

    Args:
        path: a checkpoint of a runner, or a plain state dict.
        model: the model that it is meant for, not wrapped.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no checkpoint, or one of another model; the message lists what differs.
    """
    _compare(path, read_shapes(path), model.state_dict(), extra_allowed=False)


def check_pretrained(path: str, backbone: nn.Module) -> None:
    """Raise unless a file of pretrained weights holds all the backbone's; it may hold more.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no checkpoint, or one of another backbone.
    """
    shapes = {key.removeprefix('backbone.'): shape for key, shape in read_shapes(path).items()}
    # ImageNet files may be older than BatchNorm's counter.
    expected = {key: value for key, value in backbone.state_dict().items()
                if not key.endswith('num_batches_tracked')}
    _compare(path, shapes, expected, extra_allowed=True)


def read_content(path: str) -> Mapping:
    """What is in a checkpoint, its tensors without values; code in the file is never run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no checkpoint, or a damaged one; or one that mmengine would run code of.
    """
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
    return content


def load_file(path: str, map_location: str | torch.device | Callable | None = None) -> object:
    """``torch.load`` of tensors, numbers and logged curves; a file with more is refused.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no checkpoint, or a damaged one.
    """
    if not Path(path).expanduser().is_file():
        raise FileNotFoundError(f'there is no checkpoint file {path}')
    try:
        with torch.serialization.safe_globals(SAFE):
            return torch.load(Path(path).expanduser(), map_location, weights_only=True)
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f'{path} is not a checkpoint, or it is damaged: '
                         f'{_cause(error)}') from error


def load_url(url: str, map_location: str | torch.device | Callable | None = None) -> object:
    """The same of an address; rank 0 loads it first, the others find it in torch's cache."""
    def load() -> object:
        return torch.hub.load_state_dict_from_url(url, map_location=map_location,
                                                  weights_only=True)
    if is_main_process():
        content = load()
    barrier()
    return content if is_main_process() else load()


def load_torchvision(name: str, map_location: str | torch.device | Callable | None = None
                     ) -> object:
    """The same of ``torchvision://NAME``."""
    return load_url(get_torchvision_models()[name.partition('://')[2]], map_location)


def _refuse(name: str, map_location: str | torch.device | Callable | None = None) -> None:
    raise ValueError(f'{name}: weights are read from files, http:// and torchvision:// only; '
                     'download the file and name it')


# mmengine loads all weights by these, pretrained ones as well.
CheckpointLoader.register_scheme('', load_file, force=True)
CheckpointLoader.register_scheme(('http://', 'https://'), load_url, force=True)
CheckpointLoader.register_scheme('torchvision://', load_torchvision, force=True)
CheckpointLoader.register_scheme(('modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://',
                                  'pavi://'), _refuse, force=True)


def check_whole(path: str) -> None:
    """Read a checkpoint through: torch's archives hold a checksum of each of their parts.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no checkpoint file {path}')
    if not zipfile.is_zipfile(path):  # cut short, or in torch's format of before 2020
        read_content(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f'{path} is damaged: {str(error) or type(error).__name__}') from error
    if broken:
        raise ValueError(f'{path} is damaged: its part {broken} is not what was written')


def _cause(error: Exception) -> str:
    """Without torch's advice to load it all the same."""
    foreign = re.search(r'GLOBAL ([\w.]+)', str(error))
    if foreign:
        return f'it holds {foreign[1]}, which is neither tensor nor number and is not loaded'
    if isinstance(error, (KeyError, IndexError, EOFError, pickle.UnpicklingError)):
        return 'torch did not write it'
    return str(error).partition('\n')[0] or type(error).__name__


def read_shapes(path: str) -> dict[str, torch.Size]:
    """Shapes of the weights in a checkpoint, by name, see :func:`read_content`."""
    content = read_content(path)
    return {key.removeprefix('module.'): value.shape
            for key, value in content.get('state_dict', content).items()
            if isinstance(value, Tensor)}


def _compare(path: str, found: Mapping[str, torch.Size], expected: Mapping[str, Tensor],
             extra_allowed: bool) -> None:
    missing = [key for key in expected if key not in found]
    extra = [] if extra_allowed else [key for key in found if key not in expected]
    shapes = [f'{key} {tuple(found[key])} for {tuple(value.shape)}'
              for key, value in expected.items() if key in found and found[key] != value.shape]
    differences = [f'{len(names)} {title}: {", ".join(names[:SHOWN])}'
                   + (' ...' if len(names) > SHOWN else '')
                   for title, names in (('missing', missing), ('not of the model', extra),
                                        ('of another shape', shapes)) if names]
    if differences:
        raise ValueError(f'{path} is of another model than the config\'s; weights '
                         + '; '.join(differences))
