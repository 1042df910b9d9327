"""Evidence that takes long on the CPU, kept in files so that an interrupted evaluation goes on.

The name of a file is a digest of all that its content follows from: the prediction, the label,
the task with its arguments, the code of the tasks, the versions of the libraries that they use.
What is found under that name is therefore right whichever run wrote it, and a file of another
checkpoint, config or version is never taken.

Shapes: C channels of the prediction, c channels of the label, H x W pixels, K numbers of evidence.
"""

import contextlib
import hashlib
import inspect
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import scipy
import torch

import mtpsl.tasks
from mtpsl.system.files import write_array
from mtpsl.tasks import Task

SUFFIX = '.evidence.npy'


class Evidence(NamedTuple):
    """Evidence of one image.

    Attributes:
        stats: (K,) float64, a row of :meth:`mtpsl.tasks.Task.stats`.
        found: it was in a file.
        problem: why it could not be kept; '' if it was, or was not to be.
    """

    stats: np.ndarray
    found: bool = False
    problem: str = ''


def host_evidence(task: Task, prediction: np.ndarray, label: np.ndarray,
                  folder: str | None = None) -> Evidence:
    """Evidence of one image, read from a file if there is one, else worked out and written.

    Arrays, not tensors, which would travel to a worker process as files.

    Args:
        task: what the maps are of.
        prediction: (C, H, W) prediction.
        label: (c, H, W).
        folder: where files of evidence lie; None keeps none.
    """
    path = Path(folder, f'{digest(task, prediction, label)}{SUFFIX}') if folder else None
    kept = _read(path) if path else None
    if kept is not None:
        return Evidence(kept, found=True)
    stats = task.stats(torch.from_numpy(prediction)[None], torch.from_numpy(label)[None])[0].numpy()
    try:
        if path:
            write_array(path, stats)
    except OSError as error:  # the evaluation itself needs no file
        return Evidence(stats, problem=str(error))
    return Evidence(stats)


def digest(task: Task, prediction: np.ndarray, label: np.ndarray) -> str:
    """Hexadecimal name for what the evidence of a prediction follows from."""
    arguments = {name: value for name, value in vars(task).items()
                 if not isinstance(getattr(type(task), name, None), cached_property)}
    content = hashlib.sha256(_code_digest(type(task)))
    with np.printoptions(threshold=sys.maxsize):  # whole arrays
        content.update(repr(sorted(arguments.items())).encode())
    for array in (prediction, label):
        content.update(f'{array.dtype} {array.shape}'.encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def forget(folder: str) -> None:
    """Remove the files of evidence in a folder, and the folder if nothing else is in it."""
    for file in Path(folder).glob(f'*{SUFFIX}'):  # half-written ones of killed processes too
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(folder).rmdir()


@cache
def _code_digest(kind: type[Task]) -> bytes:
    """Of the code that works out a kind of task's evidence, and of what it calls."""
    versions = [module.__version__ for module in (np, scipy, cv2, torch)]
    content = hashlib.sha256(repr((kind.__qualname__, versions)).encode())
    files = [*sorted(Path(mtpsl.tasks.__file__).parent.glob('*.py')), Path(inspect.getfile(kind))]
    for file in files:
        content.update(file.read_bytes())
    return content.digest()


def _read(path: Path) -> np.ndarray | None:
    """What is in a file of evidence; None where there is none, or a damaged one."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
