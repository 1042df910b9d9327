"""What images a user may give, and reading them."""

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

OneImage: TypeAlias = str | Path | np.ndarray | Image.Image
Images: TypeAlias = OneImage | Sequence[OneImage]


VIDEO_SUFFIXES = ('mp4', 'm4v', 'mov', 'avi', 'mkv', 'webm', 'mpg', 'mpeg', 'mts', 'm2ts', 'wmv',
                  '3gp', 'flv', 'ogv')


class PhotoReader:
    """Reads images as the pipeline of the test data does.

    Photos are turned as their EXIF orientation says, since a user expects the maps to lie as the
    image is shown, unless the pipeline's loader says ``orientation='stored'``. (So do folders of
    one's own in training; the published sets are read as stored.)

    Args:
        pipeline: configs of the transforms of the test data; none is the plain loader.

    Raises:
        ValueError: a transform that moves pixels: maps would not lie on the image.
    """

    def __init__(self, pipeline: Sequence[dict] = ()) -> None:
        steps = Compose(list(pipeline)).transforms
        loaders = [step for step in steps if isinstance(step, LoadImageFromFile)]
        self._load = copy.copy(loaders[0]) if loaders else LoadImageFromFile()
        self._load.orientation = self._load.orientation or 'upright'
        colours = photometric(steps)
        self._colours = ImageOnly(colours) if colours else None

    def read(self, path: Path) -> np.ndarray:
        """A file's image, (H, W, 3) uint8 BGR; ValueError, which names it, where it is none."""
        return self._load(dict(img_path=str(path)))['img']

    def from_pillow(self, image: Image.Image) -> np.ndarray:
        """A Pillow image as :meth:`read` gives its file; ValueError where it cannot be read."""
        return self._load.from_pillow(image)

    def take(self, rgb: np.ndarray) -> np.ndarray:
        """An image that was read by others, (H, W, 3) uint8 RGB, as :meth:`read` gives it."""
        return self._load.in_colours(np.ascontiguousarray(rgb[..., ::-1]))

    def colour(self, bgr: np.ndarray, name: str) -> np.ndarray:
        """What the pipeline makes of an image, (H, W, 3) uint8 BGR, before the model sees it.

        Raises:
            ValueError: a transform that needs more than the image, as one that reads files does.
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
    """One image to come.

    Attributes:
        name: what it is called: the file's name without suffix; it seeds the noise.
        content: the path, or the pixels.
    """

    name: str
    content: OneImage

    def read(self, reader: PhotoReader = _plain) -> np.ndarray:
        """(H, W, 3) uint8 BGR.

        Args:
            reader: how images are read.

        Raises:
            ValueError: it cannot be read, or is no image; the message names it.
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
    """A path as it was given, with ``~`` filled in; or that of a sample image that ships.

    ``demo/images`` is found from any folder that has none of its own.
    """
    given = Path(path).expanduser()
    if given.is_absolute() or given.exists() or given.parts[:1] != ('demo',):
        return given
    shipped = home() / given
    return shipped if shipped.exists() else given


def is_video(path: str | Path) -> bool:
    """Whether a file is a video by its name."""
    return Path(path).suffix.lower().removeprefix('.') in VIDEO_SUFFIXES


def is_single(inputs: Images) -> TypeGuard[OneImage]:
    """Whether one image is meant, not a folder or a list of them."""
    if isinstance(inputs, (str, Path)):
        return not locate(inputs).is_dir()
    return isinstance(inputs, (np.ndarray, Image.Image))


def collect(inputs: Images, on_error: str = 'raise') -> tuple[list[Source], bool]:
    """The images that are meant, and whether that is a single one.

    Args:
        inputs: a path, an array, a :class:`PIL.Image.Image`; a folder, whose images are taken
            (not those of folders in it); or a sequence of paths, arrays and images.
        on_error: ``'skip'`` leaves out those of one name but the first, with a warning.

    Raises:
        FileNotFoundError: no such file or folder, or no image in it.
        TypeError: something else.
        ValueError: two files of one name, whose results would be called alike; an empty list.
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
            raise ValueError(f'{image} is a video: predict_video writes a video of each task, '
                             'Video gives its frames')
        return Source(path.stem, path)
    if isinstance(image, (np.ndarray, Image.Image)):
        return Source(f'image{number}', image)
    raise TypeError(f'image {number} must be a path, an array or a PIL image, got '
                    f'{type(image).__name__}')
