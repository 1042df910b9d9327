"""Labels and images stored as arrays (``.npy``, labels also ``.npz``)."""

import os

import numpy as np

from mtpsl.tasks.categorical import CategoricalTask
from mtpsl.tasks.normal import check_unit_vectors
from mtpsl.tasks.stored import whole_numbers

from .mended import clip_image
from .pictures import to_bytes

UNKNOWN = CategoricalTask.ignore_value


def class_map(size: tuple[int, int], values: np.ndarray) -> np.ndarray:
    """Convert class ids of any numeric type, (H, W) or (H, W, 1), to uint8; -1 becomes 255."""
    ids = number_map(size, values)
    whole = whole_numbers(ids)
    if whole.min(initial=0) < -1 or whole.max(initial=0) > UNKNOWN:
        raise ValueError('class ids must be whole numbers >= 0, or -1 where unknown, got '
                         f'{ids.dtype} from {ids.min()} to {ids.max()}')
    return np.where(whole < 0, UNKNOWN, whole).astype(np.uint8)


def number_map(size: tuple[int, int], values: np.ndarray) -> np.ndarray:
    """Return the stored numbers, (H, W) or (H, W, C); a trailing axis of size 1 is dropped."""
    if values.dtype.kind not in 'biuf':
        raise ValueError(f'a map must hold numbers, got {values.dtype}')
    return values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values


def normal_map(size: tuple[int, int], values: np.ndarray) -> np.ndarray:
    """Check unit vectors (H, W, 3), zero where unknown; interpolation may have shortened them."""
    normals = number_map(size, values)
    check_unit_vectors(normals)
    return normals


def read_array(path: str) -> np.ndarray:
    """Load the array of a ``.npy`` file without unpickling."""
    values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray):
        raise ValueError('the file holds several arrays (.npz); a .npy file holds one')
    return values


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """Load the arrays of a ``.npz`` file by name, without unpickling."""
    values = np.load(path, allow_pickle=False)
    if isinstance(values, np.ndarray):
        raise ValueError('the file holds one array (.npy); a .npz file holds several by name')
    with values:
        return dict(values)


def read_image(path: str, white: float | None = None) -> np.ndarray:
    """Load an image, RGB (H, W, 3) or grey (H, W) or (H, W, 1), as (H, W, 3) uint8 BGR.

    :func:`to_bytes` converts the values. Without ``white``, floats slightly outside [0, 1] are
    clipped with one warning.

    Raises:
        ValueError: an array of another shape, type or range.
    """
    pixels = read_array(path)
    if white is None:
        pixels = clip_image(pixels, path)
    grey = pixels.ndim == 2 or pixels.shape[2:] == (1,)
    if not grey and (pixels.ndim != 3 or pixels.shape[2] != 3):
        raise ValueError(f'an image must be RGB (H, W, 3) or grey (H, W), got {pixels.shape}')
    values = to_bytes(pixels, white, path)
    if grey:
        return values.reshape(*pixels.shape[:2], 1).repeat(3, axis=2)
    return np.ascontiguousarray(values[..., ::-1])


def numbered_ids(data_root: str, image: str, split: str) -> list[str]:
    """Return the ids ``'0'``, ``'1'``, ... of a split with numbered images, one per image file.

    Args:
        data_root: folder of the dataset.
        image: pattern of an image's path, with ``{split}`` and ``{id}``.
        split: name of the split.

    Raises:
        FileNotFoundError: the image folder does not exist or holds no image.
    """
    folder, name = os.path.split(os.path.join(data_root, image.format(split=split, id='{id}')))
    suffix = os.path.splitext(name)[1]
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'there is no folder {folder} for the split {split!r}; is '
                                'data_root right? data/README.md says where datasets go')
    count = sum(file.endswith(suffix) and not file.startswith('.') for file in os.listdir(folder))
    if not count:
        raise FileNotFoundError(f'the folder {folder} holds no {suffix} file')
    return [str(number) for number in range(count)]
