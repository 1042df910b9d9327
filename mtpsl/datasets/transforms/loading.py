"""Transforms that read files: the image, and the labels that a sample may use."""

import os
from collections.abc import Callable

import cv2
import mmcv.transforms
import numpy as np
from mmcv.image.io import imread_flags
from scipy.io import loadmat

from mtpsl.datasets.arrays import read_array, read_image
from mtpsl.datasets.pictures import read_label_picture, to_bytes
from mtpsl.datasets.unreadable import UnreadableFileError
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import Task

# A label file may be up to so much larger or smaller than the image, side by side.
LARGEST_ZOOM = 2


@TRANSFORMS.register_module()
class LoadImageFromFile(mmcv.transforms.LoadImageFromFile):
    """mmcv's, as stored (label files are not turned as EXIF says, so neither is the image).

    A ``.npy`` image is an array, see :func:`mtpsl.datasets.arrays.read_image`. Images of 16 bits
    and of floats become bytes, see :func:`mtpsl.datasets.pictures.to_bytes`.

    Args:
        color_type: see :func:`mmcv.imfrombytes`.
        imdecode_backend: see :func:`mmcv.imfrombytes`.
        backend_args: where files lie, see :func:`mmengine.fileio.get`.
        white: the value of white in images of 16 bits, such as 4095 of a camera of 12 bits; None
            for 65535.
    """

    def __init__(self, color_type: str = 'color_ignore_orientation',
                 imdecode_backend: str = 'cv2', *, backend_args: dict | None = None,
                 white: int | None = None) -> None:
        super().__init__(color_type=color_type, imdecode_backend=imdecode_backend,
                         backend_args=backend_args)
        if white is not None and not (isinstance(white, int) and 255 <= white <= 65535):
            raise ValueError('LoadImageFromFile: white must be an integer from 255 to 65535, or '
                             f'None, got {white!r}')
        self.white = white
        if imdecode_backend == 'cv2' and color_type.startswith('color'):  # not cut to 8 bits there
            self.color_type = imread_flags[color_type] | cv2.IMREAD_ANYDEPTH

    def transform(self, results: dict) -> dict | None:
        """Add ``img``, (H, W, 3) uint8 BGR, and ``img_shape``, ``ori_shape``, (H, W).

        Raises:
            UnreadableFileError: the file cannot be read or is no image.
        """
        path = results['img_path']
        try:
            if not path.lower().endswith('.npy'):
                results = super().transform(results)
                results['img'] = to_bytes(results['img'], self.white)
                return results
            results['img'] = read_image(path, self.white)
            results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
            return results
        except Exception as error:
            empty = os.path.isfile(path) and not os.path.getsize(path)
            cause = 'the file is empty' if empty else (
                'it is damaged, or no image' if isinstance(error, AssertionError)  # mmcv's
                else _describe(error))
            raise UnreadableFileError(f'cannot read the image {path}: {cause}') from error


@TRANSFORMS.register_module()
class LoadLabels(mmcv.transforms.BaseTransform):
    """Read the label maps named in ``labels``; no other file is opened, and none twice.

    A ``decode`` gets what is in its files: the pixels of a ``.png`` (palette pictures as indices),
    the variables of a ``.mat``, the array of a ``.npy``. A map of another size but of the image's
    proportions, up to a pixel's rounding and at most twice or half as large, is resized to the
    image as its task says.
    """

    def transform(self, results: dict) -> dict:
        """Add ``gt``: task name -> label map, (H, W) or (H, W, 3), the image being H x W.

        Raises:
            UnreadableFileError: a file that cannot be decoded, a map of the wrong shape or with
                values that its task does not know; the message names the task, the file and the
                cause.
        """
        size = results['img'].shape[:2]
        opened: dict[str, np.ndarray | dict] = {}
        results['gt'] = {}
        for name, files in results['labels'].items():
            results['gt'][name] = read_label(results['tasks'][name], files, size, opened)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


_READERS: dict[str, Callable[[str], np.ndarray | dict]] = {
    '.png': read_label_picture, '.mat': loadmat, '.npy': read_array}


def read_label(task: Task, files: tuple[tuple[str, ...], Callable], size: tuple[int, int] | None,
               opened: dict[str, np.ndarray | dict]) -> np.ndarray:
    """Read and check the label map of one task.

    Args:
        task: the task, with its name.
        files: paths and ``decode``.
        size: (H, W) of the image, which the map is resized to; None leaves it as it is.
        opened: what is in files that were opened before; others are added.

    Raises:
        UnreadableFileError: see :class:`LoadLabels`.
    """
    paths, decode = files
    try:
        for path in paths:
            if path not in opened:
                opened[path] = _open(path)
        label = np.asarray(decode(size or (1, 1), *(opened[path] for path in paths)))
        _check_channels(label, task)
        if np.issubdtype(task.label_dtype, np.floating):
            with np.errstate(over='ignore'):  # the check sees infinity
                label = label.astype(task.label_dtype, copy=False)
        if min(size or label.shape[:2]) < task.least_side:
            raise ValueError(f'images for {task.name} must have sides of at least '
                             f'{task.least_side} pixels, got {size or label.shape}')
        label = task.translate(label)
        task.check(label)
        label = label.astype(task.label_dtype, copy=False)
        return label if size is None else _fit(label, size, task)
    except Exception as error:  # a damaged file can raise anything
        raise UnreadableFileError(f'cannot use the {task.name} label {" + ".join(paths)}: '
                                  f'{_describe(error)}') from error


def _open(path: str) -> np.ndarray | dict:
    return _READERS[os.path.splitext(path)[1].lower()](path)


def _check_channels(label: np.ndarray, task: Task) -> None:
    channels = task.label_channels
    expected = (channels,) if channels > 1 else ()
    if label.ndim < 2 or label.shape[2:] != expected:
        raise ValueError(f'a map must be {f"(H, W, {channels})" if expected else "(H, W)"}, got '
                         f'{label.shape}')


def _fit(label: np.ndarray, size: tuple[int, int], task: Task) -> np.ndarray:
    """Resize a label map to the image's (H, W)."""
    (height, width), (image_height, image_width) = label.shape[:2], size
    if (height, width) == size:
        return label
    # |w - h W / H| <= 1 or |h - w H / W| <= 1: one side is right up to a pixel, given the other.
    proportional = abs(width * image_height - height * image_width) <= max(size)
    # Tiny maps would have the proportions of anything. A side may be a pixel short of half.
    near = all(side <= LARGEST_ZOOM * image_side + 1 and image_side <= LARGEST_ZOOM * side + 1
               for side, image_side in zip((height, width), size))
    if not (proportional and near):
        raise ValueError(f'wrong size {height} x {width}; the image is {image_height} x '
                         f'{image_width}')
    return task.resize(label, size, task.reader_interpolation)


def _describe(error: Exception) -> str:
    """The message, with the type where it would not speak for itself."""
    return str(error) if type(error) is ValueError else f'{type(error).__name__}: {error}'
