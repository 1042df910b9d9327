"""Collect and read the images that a user passes."""

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeGuard

import numpy as np
from mmcv.transforms import Compose
from mmengine.logging import print_log
from PIL import Image

from mtpsl.datasets.folder import list_images
from mtpsl.datasets.transforms import ImageOnly, LoadImageFromFile
from mtpsl.datasets.transforms.contract import photometric
from mtpsl.engine.config.model_index import home
from mtpsl.system.files import user_path

OneImage: TypeAlias = str | Path | np.ndarray | Image.Image
Images: TypeAlias = OneImage | Sequence[OneImage]


VIDEO_SUFFIXES = ('mp4', 'm4v', 'mov', 'avi', 'mkv', 'webm', 'mpg', 'mpeg', 'mts', 'm2ts', 'wmv',
                  '3gp', 'flv', 'ogv')


class PhotoReader:
    """Read images like the pipeline of the test data.

    The EXIF orientation is applied, so that the maps match the image as shown, unless the
    pipeline's loader has ``orientation='stored'``. (So does ``FolderDataset`` in training; the
    published datasets are read as stored.)

    Args:
        pipeline: configs of the transforms of the test data; default: the loader only.

    Raises:
        ValueError: a transform moves pixels, so maps would not match the image.
    """

    def __init__(self, pipeline: Sequence[dict] = ()) -> None:
        steps = Compose(list(pipeline)).transforms
        loaders = [step for step in steps if isinstance(step, LoadImageFromFile)]
        self._load = copy.copy(loaders[0]) if loaders else LoadImageFromFile()
        self._load.orientation = self._load.orientation or 'upright'
        colours = photometric(steps)
        self._colours = ImageOnly(colours) if colours else None

    def read(self, path: Path) -> np.ndarray:
        """Read a file as (H, W, 3) uint8 BGR; raise ValueError, which names it, on failure."""
        return self._load(dict(img_path=str(path)))['img']

    def from_pillow(self, image: Image.Image) -> np.ndarray:
        """Convert a Pillow image like :meth:`read` does its file; raise ValueError on failure."""
        return self._load.from_pillow(image)

    def take(self, rgb: np.ndarray) -> np.ndarray:
        """Process an array, (H, W, 3) uint8 RGB, like :meth:`read` does a file."""
        return self._load.in_colours(np.ascontiguousarray(rgb[..., ::-1]))

    def colour(self, bgr: np.ndarray, name: str) -> np.ndarray:
        """Apply the colour transforms of the pipeline to an image, (H, W, 3) uint8 BGR.

        Raises:
            ValueError: a transform needs more than the image, such as a file.
        """
        if self._colours is None:
            return bgr
        shape = bgr.shape[:2]
        image = dict(img=bgr, img_shape=shape, ori_shape=shape, img_id=name)
        try:
            return self._colours(image)['img']
        except KeyError as error:
            if error.args[:1] not in {('img_path',), ('labels',), ('gt',), ('tasks',)}:
                raise
            raise ValueError(f'a transform of the test pipeline needs {error}, which an image '
                             'alone does not have; one that reads images must be a subclass of '
                             'LoadImageFromFile') from error


_plain = PhotoReader()


class Source(NamedTuple):
    """An image to read.

    Attributes:
        name: file name without suffix; it seeds the noise.
        content: path, or pixels.
    """

    name: str
    content: OneImage

    def read(self, reader: PhotoReader = _plain) -> np.ndarray:
        """Read the image as (H, W, 3) uint8 BGR.

        Args:
            reader: how images are read.

        Raises:
            ValueError: it cannot be read or is no image; the message names it.
        """
        if isinstance(self.content, (str, Path)):
            return reader.read(Path(self.content))
        pixels = self.content
        if isinstance(pixels, Image.Image):
            try:
                return reader.from_pillow(pixels)
            except ValueError as error:
                raise ValueError(f'{self.name}: {error}') from error
        if pixels.ndim == 2:  # grey
            pixels = pixels[..., None].repeat(3, axis=2)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ValueError(f'{self.name}: an array must be RGB (H, W, 3) or grey (H, W) of uint8 '
                             f'in 0..255, got {pixels.dtype} of shape {pixels.shape}')
        return reader.take(pixels)


def locate(path: str | Path) -> Path:
    """Return a path with ``~`` expanded, or the path of an included sample image.

    ``demo/images`` is found from any folder that has no such folder itself.
    """
    given = Path(user_path(path))
    if given.is_absolute() or given.exists() or given.parts[:1] != ('demo',):
        return given
    shipped = home() / given
    return shipped if shipped.exists() else given


def is_video(path: str | Path) -> bool:
    """Return whether a file is a video, by its name."""
    return Path(path).suffix.lower().removeprefix('.') in VIDEO_SUFFIXES


def is_single(inputs: Images) -> TypeGuard[OneImage]:
    """Return whether the input is one image, not a folder or a list."""
    if isinstance(inputs, (str, Path)):
        return not locate(inputs).is_dir()
    return isinstance(inputs, (np.ndarray, Image.Image))


def collect(inputs: Images, on_error: str = 'raise') -> tuple[list[Source], bool]:
    """Collect the images of an input; also return whether it is a single image.

    Args:
        inputs: a path, an array or a :class:`PIL.Image.Image`; a folder, without its sub-folders;
            or a sequence of paths, arrays and images.
        on_error: ``'skip'`` keeps only the first of several images with one name, with a warning.

    Raises:
        FileNotFoundError: there is no such file or folder, or no image in it.
        TypeError: another type of input.
        ValueError: two files would have results of one name, or a list is empty.
    """
    if is_single(inputs):
        return [_source(inputs, 0)], True
    if isinstance(inputs, (str, Path)):
        folder = locate(inputs)
        files = list_images(str(folder), 'first' if on_error == 'skip' else 'raise')
        return [Source(name, folder / file) for name, file in files.items()], False
    if not isinstance(inputs, Sequence):
        raise TypeError('expected the path of an image or a folder, an array, a PIL image or a '
                        f'list of them, got {type(inputs).__name__}')
    sources = [_source(image, number) for number, image in enumerate(inputs)]
    if not sources:
        raise ValueError('the list of images is empty')
    first: dict[str, Source] = {}
    for source in sources:
        if first.setdefault(source.name, source) is not source:
            both = [str(one.content) if isinstance(one.content, (str, Path)) else 'an array'
                    for one in (first[source.name], source)]
            text = f'{both[0]} and {both[1]} would both be called {source.name!r}'
            if on_error != 'skip':
                raise ValueError(f'{text}: give them one at a time')
            print_log(f'{text}: the second is skipped', 'current', logging.WARNING)
    return list(first.values()), False


def _source(image: OneImage, number: int) -> Source:
    if isinstance(image, (str, Path)):
        path = locate(image)
        if not path.is_file():
            raise FileNotFoundError(f'{path} is no regular file' if path.exists() else
                                    f'there is no image {image}')
        if is_video(path):
            raise ValueError(f'{image} is a video: predict_video writes a video per task, '
                             'Video iterates over its frames')
        return Source(path.stem, path)
    if isinstance(image, (np.ndarray, Image.Image)):
        return Source(f'image{number}', image)
    raise TypeError(f'image {number} must be a path, an array or a PIL image, got '
                    f'{type(image).__name__}')
