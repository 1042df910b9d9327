"""What images a user may give, and reading them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeGuard

import numpy as np
from PIL import Image, ImageOps

from mtpsl.datasets.folder import list_images
from mtpsl.datasets.pictures import to_bytes
from mtpsl.datasets.transforms import LoadImageFromFile

OneImage: TypeAlias = str | Path | np.ndarray | Image.Image
Images: TypeAlias = OneImage | Sequence[OneImage]

# Photos are turned as their EXIF orientation says: a user expects the maps to lie as the image is
# shown. (Data sets keep the stored orientation, as their label files do.)
_load = LoadImageFromFile(color_type='color')


class Source(NamedTuple):
    """One image to come.

    Attributes:
        name: what it is called: the file's name without suffix; it seeds the noise.
        content: the path, or the pixels.
    """

    name: str
    content: OneImage

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR.

        Raises:
            ValueError: it cannot be read, or is no image; the message names it.
        """
        if isinstance(self.content, (str, Path)):
            return _load(dict(img_path=str(self.content)))['img']
        pixels = self.content
        if isinstance(pixels, Image.Image):
            pixels = self._bytes_of(pixels)
        if pixels.ndim == 2:  # grey
            pixels = pixels[..., None].repeat(3, axis=2)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ValueError(f'{self.name}: an array must be RGB (H, W, 3) or grey (H, W) of uint8 '
                             f'in 0..255, got {pixels.dtype} of shape {pixels.shape}')
        return np.ascontiguousarray(pixels[..., ::-1])

    def _bytes_of(self, image: Image.Image) -> np.ndarray:
        """(H, W, 3) or (H, W) uint8, as the file would be read."""
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith('I;16'):  # Pillow would cut off what is above 255
            return to_bytes(np.asarray(image))
        if image.mode in ('I', 'F'):
            raise ValueError(f'{self.name}: of a PIL image of mode {image.mode!r} it is not known '
                             'what is black and what white; give an array of uint8')
        return np.asarray(image.convert('RGB'))


def is_single(inputs: Images) -> TypeGuard[OneImage]:
    """Whether one image is meant, not a folder or a list of them."""
    if isinstance(inputs, (str, Path)):
        return not Path(inputs).is_dir()
    return isinstance(inputs, (np.ndarray, Image.Image))


def collect(inputs: Images) -> tuple[list[Source], bool]:
    """The images that are meant, and whether that is a single one.

    Args:
        inputs: a path, an array, a :class:`PIL.Image.Image`; a folder, whose images are taken
            (not those of folders in it); or a sequence of paths, arrays and images.

    Raises:
        FileNotFoundError: no such file or folder, or no image in it.
        TypeError: something else.
        ValueError: two files of one name, whose results would be called alike; an empty list.
    """
    if is_single(inputs):
        return [_source(inputs, 0)], True
    if isinstance(inputs, (str, Path)):
        files = list_images(str(inputs))
        return [Source(name, Path(inputs, file)) for name, file in files.items()], False
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
            raise ValueError(f'{both[0]} and {both[1]} would both be called {source.name!r}: give '
                             'them one at a time')
    return sources, False


def _source(image: OneImage, number: int) -> Source:
    if isinstance(image, (str, Path)):
        if not Path(image).is_file():
            raise FileNotFoundError(f'there is no image {image}')
        return Source(Path(image).stem, image)
    if isinstance(image, (np.ndarray, Image.Image)):
        return Source(f'image{number}', image)
    raise TypeError(f'image {number} must be a path, an array or a PIL image, got '
                    f'{type(image).__name__}')
