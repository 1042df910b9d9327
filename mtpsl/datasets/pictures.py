"""Read label pictures without changing their values; convert images of over 8 bits to bytes."""

from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from mtpsl.tasks.stored import bytes_swapped

from .mended import say_once

WHITE = 65535  # in a file of 16 bits
DARK = 1 << 14  # below it an image of 16 bits is too dark, or has 10, 12 or 14 bits
FEW = 1e-3  # share of an image's values that may be hot pixels
LEVELS = 16  # greys of 256; an image with fewer shows hardly anything
DARK_FLOAT = 1 / 16  # DARK for floats; 12 bits divided by 65535 stay below it


class Indexed(np.ndarray):
    """(H, W) uint8 indices of a palette picture, with its ``palette``, (256, 3) uint8 RGB."""

    palette: np.ndarray


def read_label_picture(path: str) -> np.ndarray:
    """Read a ``.png``: (H, W) or RGB(A) of 8 or 16 bits, bool for 1 bit, or palette indices.

    Grey of 2 or 4 bits is returned as palette indices: the file may mean either index or grey.

    Raises:
        ValueError: the content is not PNG.
    """
    with Image.open(path) as picture:
        if picture.format != 'PNG':
            raise ValueError(f'the content of the file is {picture.format}; save labels as PNG '
                             '(a lossy format has already changed the values)')
        bits = _bits(picture)
        # Of several channels of 16 bits Pillow keeps the upper 8 bits only.
        deep = picture.mode in ('RGB', 'RGBA', 'LA') and bits == 16
        pixels = _read_deep(path) if deep else np.asarray(picture)
        if picture.mode == 'P':
            return _indexed(pixels, np.array(picture.getpalette('RGB'), np.uint8).reshape(-1, 3))
        if picture.mode == 'L' and bits < 8:  # Pillow scales these to 0..255
            greys = np.linspace(0, 255, 1 << bits).astype(np.uint8)
            return _indexed(pixels // greys[1], np.repeat(greys[:, None], 3, 1))
    # Many programs add an opaque alpha channel; ignore it.
    if pixels.shape[2:] in ((2,), (4,)) and (pixels[..., -1] == np.iinfo(pixels.dtype).max).all():
        pixels = pixels[..., :3] if pixels.shape[2] == 4 else pixels[..., 0]
    return pixels


def _indexed(pixels: np.ndarray, colours: np.ndarray) -> Indexed:
    indices = pixels.view(Indexed)
    indices.palette = np.zeros((256, 3), np.uint8)
    indices.palette[:len(colours)] = colours
    return indices


def _bits(picture: ImageFile) -> int:
    """Return the bits per channel from the header of an opened PNG."""
    file: Any = picture.fp
    place = file.tell()
    file.seek(24)
    bits = file.read(1)[0]
    file.seek(place)
    return bits


def _read_deep(path: str) -> np.ndarray:
    pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError('it is damaged')
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2:] == (4,) else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(pixels, order) if pixels.ndim == 3 else pixels


def to_bytes(pixels: np.ndarray, white: float | None = None, name: str = 'an image') -> np.ndarray:
    """Convert an image to uint8.

    Args:
        pixels: (H, W) or (H, W, C). Bytes stay; uint16 and floats are scaled so that ``white``
            becomes 255. Up to 0.1 % of uint16 values above ``white`` (hot pixels) are clipped.
        white: value of white, such as 4095 for a camera of 12 bits; None for 65535 (uint16) or 1.0
            (floats), but then an image that would be dark is refused.
        name: name of the image in warnings, such as its path.

    Raises:
        ValueError: pixels of another type or range.
    """
    if pixels.dtype == np.uint8:
        return pixels
    # The byte order does not matter here.
    floats = pixels.dtype.kind == 'f'
    if not floats and (pixels.dtype.kind, pixels.dtype.itemsize) != ('u', 2):
        raise ValueError('an image must be floats in [0, 1], uint16 or uint8, got '
                         f'{pixels.dtype}')
    most = white if white is not None else 1.0 if floats else WHITE
    # A NaN fails both comparisons.
    if floats and not (pixels.min() >= -1e-3 * most and pixels.max() <= (1 + 1e-3) * most):
        if np.isnan(pixels).any():
            raise ValueError('an image of floats must have numbers everywhere, got NaN in '
                             f'{np.isnan(pixels).sum()} of its {pixels.size} values: write what '
                             'they are to be, such as 0')
        raise ValueError(f'an image of floats must lie in [0, {most:g}], got values from '
                         f'{pixels.min():g} to {pixels.max():g}; set white of LoadImageFromFile in '
                         'the pipelines to the value of white')
    if not floats and (above := np.count_nonzero(pixels > most)):
        if above > pixels.size * FEW:
            raise ValueError(f'an image of 16 bits goes up to {pixels.max()}, above white={white}')
        say_once('above white', name, f'{above} values above white={white} are clipped to it')
    if bytes_swapped(pixels):
        raise ValueError('an image of 16 bits is smooth only with the bytes of its numbers '
                         'swapped: it was written in the other byte order; apply byteswap() to '
                         'it')
    if white is None:
        _refuse_dark(pixels)
        _say_flat(pixels, most, name)
    elif white != (1 if floats else WHITE):  # these values accept a dark image
        top = _top(pixels, white / 4)
        if top:
            say_once('below white', name, f'the image goes up to {top:g} only, with '
                     f'white={white:g}, and will be dark: is white right?')
    if most == WHITE and not floats:
        return (pixels >> 8).astype(np.uint8)
    return (pixels.clip(0, most) * (255 / most) + 0.5).astype(np.uint8)


def _top(pixels: np.ndarray, dark: float) -> float:
    """Return the largest value, ignoring a few hot pixels, if it is below ``dark``; else 0."""
    hot = np.count_nonzero(pixels >= dark)
    if hot > pixels.size * FEW:
        return 0
    values = pixels.reshape(-1)
    place = pixels.size - 1 - int(pixels.size * FEW) if hot else -1
    return (np.partition(values, place)[place] if hot else values.max(initial=0)).item()


def _refuse_dark(pixels: np.ndarray) -> None:
    """Raise ValueError if nearly all pixels are dark compared with the default white."""
    if pixels.dtype.kind == 'f':
        top = _top(pixels, DARK_FLOAT)
        if top > 0:
            raise ValueError(f'an image of floats goes up to {top:g} only, of 1, and would be '
                             'nearly black: was it divided twice? Set white of LoadImageFromFile '
                             'in the pipelines to the value of white; white=1 accepts the image')
        return
    top = _top(pixels, DARK)
    if top:
        hot = ', except a few hot pixels' if pixels.max() > top else ''
        guess = next((1 << bits) - 1 for bits in (8, 10, 12, 14) if top < 1 << bits)
        raise ValueError(f'an image of 16 bits goes up to {top} only, of 65535{hot}, and would be '
                         f'nearly black: has it fewer bits? Set white={guess} of LoadImageFromFile '
                         'in the pipelines; white=65535 accepts the image')


def _say_flat(pixels: np.ndarray, most: float, name: str) -> None:
    """Warn if the conversion leaves an image with only a few greys."""
    low, high = (pixels.min(), pixels.max()) if pixels.size else (0, 0)
    levels = (float(high) - float(low)) * 255 / most
    if 1 <= levels < LEVELS:
        say_once('few greys', name, f'values from {low:g} to {high:g} become {levels:.0f} greys of '
                 '256, as of a thermal camera: stretch them before saving, or accept them with '
                 'white=65535 (floats: 1) of LoadImageFromFile')
