"""Load the teacher of a distillation: a frozen model in evaluation mode."""

from collections.abc import Mapping
from logging import INFO
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

M = TypeVar('M', bound=nn.Module)
SHOWN = 3


def teacher_checkpoint(path: str) -> str:
    """Return ``path`` if it is a checkpoint, or the last checkpoint of the work dir ``path``.

    Raises:
        FileNotFoundError: there is no checkpoint.
    """
    found = Path(path)
    if found.is_dir():
        last = find_latest_checkpoint(path)
        if not last:
            raise FileNotFoundError(f'model.teacher={path}: the folder has no last_checkpoint; '
                                    'train stage 1 first')
        found /= Path(last).name  # the folder may have been moved
    if not found.is_file():
        raise FileNotFoundError(f'model.teacher={path}: there is no {found}; train stage 1 first, '
                                'or name its checkpoint or work dir')
    return str(found)


def load_teacher(path: str, kind: type[M], parts: Mapping[str, Any]) -> M:
    """Load a frozen model without gradients, permanently in evaluation mode.

    Loading does not change the random state.

    Args:
        path: see :func:`teacher_checkpoint`.
        kind: class of the model.
        parts: arguments of the class.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the checkpoint is of another model.
    """
    file = teacher_checkpoint(path)
    content = CheckpointLoader.load_checkpoint(file, map_location='cpu')
    weights = {key.removeprefix('module.'): value
               for key, value in content.get('state_dict', content).items()
               if isinstance(value, Tensor)}
    with torch.random.fork_rng():
        teacher = kind(**parts)
    own = teacher.state_dict()
    wrong = [key for key in {**own, **weights} if key not in own or key not in weights
             or own[key].shape != weights[key].shape]
    if wrong:
        raise ValueError(
            f'model.teacher={path}: {file} is of another model than the student: '
            f'{len(wrong)} weights are missing, too many or of another shape, such as '
            f'{", ".join(wrong[:SHOWN])}; tasks, classes, bins, backbone and decoder must be equal')
    teacher.load_state_dict(weights)
    epoch = (content.get('meta') or {}).get('epoch')
    print_log(f'the teacher is {file}' + (f', after epoch {epoch}' if epoch else ''),
              'current', INFO)
    return teacher.requires_grad_(False).eval()
