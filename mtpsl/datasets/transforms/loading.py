"""Transforms that read the image and the labels of a sample."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence

import cv2
import mmcv.transforms
import numpy as np
from mmcv.image.io import imread_flags
from mmengine.fileio import get
from PIL import Image, ImageOps
from scipy.io import loadmat

from mtpsl.datasets.arrays import read_array, read_arrays, read_image
from mtpsl.datasets.decoding import (
    BACKENDS,
    decode,
    exif_orientation,
    has_frames,
    rgb_of,
    stored_content,
)
from mtpsl.datasets.mended import say_frames, say_once
from mtpsl.datasets.photo import ORIENTATIONS, TURNS, refuse_special, turn, turned_decode
from mtpsl.datasets.pictures import WHITE, read_label_picture, to_bytes
from mtpsl.datasets.unreadable import MixedCodingsError, UnreadableFileError
from mtpsl.registry import TRANSFORMS
from mtpsl.system.files import stands_in
from mtpsl.tasks import Task

# Largest factor between the sides of a label file and those of the image, either way.
LARGEST_ZOOM = 2
PADDED = 1.25  # a smaller one may be no zoom at all


@TRANSFORMS.register_module()
class LoadImageFromFile(mmcv.transforms.LoadImageFromFile):
    """Load an image of any format that Pillow reads; optionally apply its EXIF orientation.

    Extends mmcv's transform. A ``.npy`` image is an array, see
    :func:`mtpsl.datasets.arrays.read_image`. Images of 16 bits and of floats become bytes, see
    :func:`mtpsl.datasets.pictures.to_bytes`. Alpha is dropped.

    Args:
        color_type: ``'grayscale'`` or ``'grayscale_ignore_orientation'`` for three equal grey
            channels; see :func:`mmcv.imfrombytes`. Decides the orientation if ``orientation`` is
            None.
        imdecode_backend: decoder of JPEG, ``'cv2'``, ``'pillow'`` or ``'turbojpeg'``.
        backend_args: file backend, see :func:`mmengine.fileio.get`.
        white: value of white in images of 16 bits, such as 4095 for a camera of 12 bits, or of
            floats; None for 65535 and 1.0.
        orientation: ``'upright'`` applies the EXIF orientation, ``'stored'`` ignores it. None: as
            the dataset sets it, upright for ``FolderDataset``, stored for the published sets.

    Raises:
        ValueError: an argument is none of these.
    """

    def __init__(self, color_type: str = 'color_ignore_orientation',
                 imdecode_backend: str = 'cv2', *, backend_args: dict | None = None,
                 orientation: str | None = None, white: float | None = None) -> None:
        if orientation not in (None, *ORIENTATIONS):
            raise ValueError("LoadImageFromFile: orientation must be 'upright', 'stored' or None, "
                             f'got {orientation!r}')
        if color_type not in imread_flags:
            raise ValueError(f'LoadImageFromFile: color_type must be one of {list(imread_flags)}, '
                             f'got {color_type!r}')
        if imdecode_backend not in BACKENDS:  # tifffile returns another channel order
            raise ValueError(f'LoadImageFromFile: imdecode_backend must be one of {BACKENDS}, all '
                             f'of which read TIFF too, got {imdecode_backend!r}')
        if white is not None and (isinstance(white, bool) or not isinstance(white, (int, float))
                                  or not 1 <= white <= WHITE):
            raise ValueError('LoadImageFromFile: white must be a number from 1 to 65535, or None, '
                             f'got {white!r}')
        super().__init__(color_type=color_type, imdecode_backend=imdecode_backend,
                         backend_args=backend_args)
        self.grey = color_type.startswith('grayscale')
        turns = color_type in ('color', 'grayscale')
        self.orientation = orientation or ('upright' if turns else None)
        self.white = white

    def transform(self, results: dict) -> dict:
        """Add ``img``, (H, W, 3) uint8 BGR; ``img_shape`` and ``ori_shape``, (H, W).

        Also add ``orientation``, the EXIF orientation that was applied, 1 if none.

        Raises:
            UnreadableFileError: the file cannot be read or is no image.
        """
        path = results['img_path']
        upright = (self.orientation or results.get('photos', 'stored')) == 'upright'
        try:
            refuse_special(path)
            if path.lower().endswith('.npy'):
                image, orientation = read_image(path, self.white), 1
            else:
                content = get(path, self.backend_args)
                if has_frames(content):
                    say_frames(path)
                image, orientation = self._read(content, upright, path)
        except Exception as error:
            empty = os.path.isfile(path) and not os.path.getsize(path)
            cause = 'the file is empty' if empty else stands_in(path) or _describe(error)
            raise UnreadableFileError(f'cannot read the image {path}: {cause}') from error
        image = self.in_colours(image)
        size = image.shape[:2]
        return results | dict(img=image, img_shape=size, ori_shape=size, orientation=orientation)

    def from_pillow(self, image: Image.Image) -> np.ndarray:
        """Convert a Pillow image to (H, W, 3) uint8 BGR like its file; upright unless ``'stored'``.

        Raises:
            ValueError: the image cannot be read.
        """
        upright = self.orientation != 'stored'
        try:
            content = stored_content(image)
            if content is None:
                rgb = to_bytes(rgb_of(ImageOps.exif_transpose(image) if upright else image),
                               self.white)
                bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            else:
                bgr = self._read(content, upright)[0]
        except Exception as error:  # a damaged file can raise anything
            raise ValueError(_describe(error)) from error
        return self.in_colours(bgr)

    def in_colours(self, bgr: np.ndarray) -> np.ndarray:
        """Apply ``color_type`` to (H, W, 3) BGR: grey in all channels, or unchanged."""
        return mmcv.bgr2gray(bgr, keepdim=True).repeat(3, axis=2) if self.grey else bgr

    def _read(self, content: bytes, upright: bool,
              name: str = 'an image') -> tuple[np.ndarray, int]:
        """Decode a file's content; return the image and the EXIF orientation that was applied."""
        image = to_bytes(decode(content, self.imdecode_backend), self.white, name)
        orientation = exif_orientation(content) if upright else 1
        return (image if orientation == 1 else turn(image, TURNS[orientation])), orientation


@TRANSFORMS.register_module()
class LoadLabels(mmcv.transforms.BaseTransform):
    """Read the label maps named in ``labels``; each file is opened once, and no other file.

    ``decode`` gets the contents of the files: pixels of a ``.png`` (indices of a palette picture),
    variables of a ``.mat``, the array of a ``.npy``, arrays by name of a ``.npz``. A map with the
    proportions of the image, up to rounding by a pixel, and at most twice or half its size is
    resized to the image by its task.

    If the image was turned by its EXIF orientation, the size of a label decides whether it is
    upright or has the stored orientation; then it is turned like the image.

    Args:
        stored: tasks whose labels have the stored orientation where the size cannot tell (180
            degrees, mirrored, a square); the labels of other tasks are upright.
    """

    def __init__(self, stored: Sequence[str] = ()) -> None:
        if isinstance(stored, str) or not all(isinstance(name, str) for name in stored):
            raise ValueError('LoadLabels: stored must be a sequence of names of tasks, got '
                             f'{stored!r}')
        self.stored = tuple(stored)

    def check_tasks(self, tasks: Mapping[str, Task], known: Collection[str]) -> None:
        """Raise ValueError if ``stored`` names an unknown task, see ``PartialLabelDataset``."""
        unknown = [name for name in self.stored if name not in (*tasks, *known)]
        if unknown:
            raise ValueError(f'LoadLabels: stored names {", ".join(unknown)}, which is no task; '
                             f'the tasks are {", ".join(tasks)}')

    def _files(self, results: dict) -> dict:
        """Return ``labels`` with decoders that turn the maps like the image."""
        return {name: self.turned(name, files, results['tasks'][name],
                                  results.get('orientation', 1))
                for name, files in results['labels'].items()}

    def turned(self, name: str, files: tuple[tuple[str, ...], Callable], task: Task,
               orientation: int) -> tuple[tuple[str, ...], Callable]:
        """Return a task's paths and ``decode``, which turns the map as its image was turned.

        Args:
            name: of the task.
            files: paths and ``decode``.
            task: the task.
            orientation: the EXIF orientation that was applied to the image, 1 if none.
        """
        paths, decode = files
        return files if orientation == 1 else (paths, turned_decode(
            decode, task, orientation, name in self.stored, _fits))

    def transform(self, results: dict) -> dict:
        """Add ``gt``: task name -> label map, (H, W) or (H, W, 3), the image being H x W.

        Raises:
            UnreadableFileError: a file cannot be decoded, or a map has a wrong shape or values
                that are invalid for its task; the message names the task, the file and the cause.
        """
        size = results['img'].shape[:2]
        opened: dict[str, np.ndarray | dict] = {}
        results['gt'] = {}
        for name, files in self._files(results).items():
            results['gt'][name] = read_label(results['tasks'][name], files, size, opened)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({f"stored={self.stored}" if self.stored else ""})'


_READERS: dict[str, Callable[[str], np.ndarray | dict]] = {
    '.png': read_label_picture, '.mat': loadmat, '.npy': read_array, '.npz': read_arrays}


def read_label(task: Task, files: tuple[tuple[str, ...], Callable], size: tuple[int, int] | None,
               opened: dict[str, np.ndarray | dict]) -> np.ndarray:
    """Read and check the label map of one task.

    Args:
        task: the task, with its name.
        files: paths and ``decode``.
        size: (H, W) of the image, to which the map is resized; None keeps its size.
        opened: path -> contents of files opened before; this function adds the new ones.

    Raises:
        UnreadableFileError: see :class:`LoadLabels`.
        MixedCodingsError: the file is encoded differently from another one of the dataset.
    """
    paths, decode = files
    try:
        for path in paths:
            if path not in opened:
                opened[path] = _open(path)
        label = np.asarray(decode(size or (1, 1), *(opened[path] for path in paths)))
        _check_channels(label, task)
        if np.issubdtype(task.label_dtype, np.floating):
            if label.dtype.kind in 'biu':
                raise ValueError(f'a map of {task.name} has floats in its unit, the dataset gives '
                                 f'{label.dtype}: are they class ids?')
            with np.errstate(over='ignore'):  # task.check rejects infinity
                label = label.astype(task.label_dtype, copy=False)
        if min(size or label.shape[:2]) < task.least_side:
            raise ValueError(f'images for {task.name} must have sides of at least '
                             f'{task.least_side} pixels, got {size or label.shape}')
        label = task.translate(label)
        task.check(label)
        label = label.astype(task.label_dtype, copy=False)
        return label if size is None else _fit(label, size, task, ' + '.join(paths))
    except MixedCodingsError:
        raise
    except Exception as error:  # a damaged file can raise anything
        other = next(filter(None, map(stands_in, paths)), '') or _describe(error)
        raise UnreadableFileError(f'cannot use the {task.name} label {" + ".join(paths)}: '
                                  f'{other}') from error


def _open(path: str) -> np.ndarray | dict:
    refuse_special(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _READERS:
        raise ValueError(f'a label must be a file of {", ".join(_READERS)}, got {suffix!r}')
    return _READERS[suffix](path)


def _check_channels(label: np.ndarray, task: Task) -> None:
    channels = task.label_channels
    expected = (channels,) if channels > 1 else ()
    if label.ndim < 2 or label.shape[2:] != expected:
        raise ValueError(f'a map must be {f"(H, W, {channels})" if expected else "(H, W)"}, got '
                         f'{label.shape}')


def _fits(shape: Sequence[int], size: Sequence[int]) -> bool:
    """Return whether a label map of (H, W) can belong to an image of another (H, W)."""
    (height, width), (image_height, image_width) = shape, size
    # |w - h W / H| <= 1 or |h - w H / W| <= 1: given one side, the other is right up to a pixel.
    proportional = abs(width * image_height - height * image_width) <= max(size)
    # Tiny maps would fit any proportions. A side may be a pixel short of half.
    near = all(side <= LARGEST_ZOOM * image_side + 1 and image_side <= LARGEST_ZOOM * side + 1
               for side, image_side in zip((height, width), size))
    return proportional and near


def _fit(label: np.ndarray, size: tuple[int, int], task: Task, path: str) -> np.ndarray:
    """Resize a label map to the image's (H, W)."""
    (height, width), (image_height, image_width) = label.shape[:2], size
    if (height, width) == size:
        return label
    if not _fits((height, width), size):
        raise ValueError(f'wrong size {height} x {width}; the image is {image_height} x '
                         f'{image_width}')
    if max(height, image_height) < PADDED * min(height, image_height) and max(
            abs(height - image_height), abs(width - image_width)) > 1:
        say_once(f'{task.name} size', path, f'its map of {height} x {width} is resized to the '
                 f'image of {image_height} x {image_width}; if it was padded, crop it, and if it '
                 'was cropped, pad it')
    return task.resize(label, size, task.reader_interpolation)


def _describe(error: Exception) -> str:
    """Return the message of an error, with the type unless it is ValueError."""
    return str(error) if type(error) is ValueError else f'{type(error).__name__}: {error}'
