"""Decode the content of an image file to pixels, in the stored orientation.

No decoder here applies the EXIF orientation. :func:`exif_orientation` reads it; the caller turns
the image.
"""

import re
import threading
from io import BytesIO
from typing import Any

import cv2
import mmcv
import numpy as np
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from .photo import HEIF_ADVICE, TURNS, reads_heif
from .tiff import PHOTOMETRIC, WHITE_IS_ZERO, layout, unturned

BACKENDS = ('cv2', 'pillow', 'turbojpeg')
MOST_PIXELS = 1 << 30  # of an image, OpenCV's limit
# Magic number and size (or maxval) in the header of a PNM file, with comments.
_PNM = re.compile(rb'P[2356](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)')
_PAM = re.compile(rb'P7\s(?:.*\n)*?MAXVAL\s+(\d+)')
_limit = threading.Lock()


def decode(content: bytes, backend: str = 'cv2') -> np.ndarray:
    """Decode an image file to (H, W, 3) BGR as stored, without alpha.

    8 bits become uint8, 10 to 16 bits unscaled uint16, floats float32. Of several frames, the
    first is decoded.

    Args:
        content: bytes of the file.
        backend: one of ``BACKENDS``, decodes JPEG only; other formats do not depend on it.

    Raises:
        ValueError: the file cannot be decoded; the message states the cause.
    """
    if content[:2] == b'\xff\xd8':
        if not _ends(content):
            raise ValueError('it is cut off: the end of the JPEG file is missing')
        if backend != 'cv2':
            return mmcv.imfrombytes(content, 'color_ignore_orientation', backend=backend)
    tiff = layout(content)
    if tiff:
        tiff.check()
        content = unturned(content)
        if tiff.alpha and tiff.bits == 8:  # OpenCV would multiply the colours by alpha
            return decode_with_pillow(content)
    if _pnm_white(content) not in (None, 255, 65535):
        return decode_with_pillow(content)  # scales to 16 bits; OpenCV does so only sometimes
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # such as an image of too many pixels
        pixels = None
    return decode_with_pillow(content) if pixels is None else pixels


def is_transparent(content: bytes) -> bool:
    """Return whether an image file has pixels that are not opaque; False if it is unreadable."""
    try:
        with _opened(content) as picture:
            return picture.has_transparency_data and bool(
                np.asarray(picture.convert('RGBA').getchannel('A')).min() < 255)
    except Exception:  # its reader says why
        return False


def decode_with_pillow(content: bytes) -> np.ndarray:
    """Decode any format that Pillow reads, see :func:`decode`; 16-bit colours keep 8 bits."""
    try:
        with _opened(content) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise ValueError(f'it has {width} x {height} pixels, more than {MOST_PIXELS}')
            return cv2.cvtColor(rgb_of(picture), cv2.COLOR_RGB2BGR)
    except ValueError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(_why_unreadable(content, error)) from error


def rgb_of(image: Image.Image) -> np.ndarray:
    """Return a Pillow image as (H, W, 3) RGB at its bit depth, see :func:`decode`; do not turn it.

    Raises:
        ValueError: the mode does not define which values are black and white.
    """
    if image.mode.startswith('I;16'):
        pixels = np.asarray(image)
        return pixels.astype(np.uint16)[..., None].repeat(3, 2)
    if image.mode == 'F':
        return np.asarray(image)[..., None].repeat(3, 2)
    if image.mode == 'I' and image.format == 'PPM':  # Pillow has scaled it to 16 bits
        return np.asarray(image).astype(np.uint16)[..., None].repeat(3, 2)
    if image.mode == 'I':
        raise ValueError('an image of 32 bits does not define which values are black and white; '
                         'save it with 8 or 16 bits')
    return np.asarray(image.convert('RGB'))


def stored_content(image: Image.Image) -> bytes | None:
    """Return the file content of an opened Pillow image; None after it was loaded or sought.

    On loading, Pillow reduces 16-bit colours to 8 bits and corrupts some memory-mapped TIFF files
    that it turns.

    Raises:
        ValueError: the image can no longer be read correctly.
    """
    if not isinstance(image, ImageFile) or image.tell():
        return None
    if image.tile and not image.decoderconfig:  # no draft of another size was requested
        file: Any = image.fp
        if file is None or file.closed:
            raise ValueError('its file was closed before it was read')
        place = file.tell()
        file.seek(0)
        content = file.read()
        file.seek(place)
        return content
    negative = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    if negative and image.mode.startswith(('I', 'F')):
        raise ValueError('it is a TIFF of more than 8 bits in which 0 is white: save it with 0 as '
                         'black')
    mapped = getattr(image, 'map', None)
    return bytes(mapped) if mapped and image.readonly else None


def exif_orientation(content: bytes) -> int:
    """Return the EXIF orientation of an image file, 1 to 8; 1 if none is recorded."""
    try:
        with _opened(content) as picture:
            noted = picture.getexif().get(ExifTags.Base.Orientation, 1)
            return noted if noted in TURNS else 1
    except Exception:  # Pillow cannot open it, or its EXIF data are damaged
        return 1


def has_frames(content: bytes) -> bool:
    """Return whether a file has several frames or pages, of which only the first is read.

    The second picture of an MPO photo (a preview or a stereo view) does not count.

    Raises:
        ValueError: the first of them is a preview, as in raw photos.
    """
    if content[:2] == b'\xff\xd8':
        return False
    try:
        with _opened(content) as picture:
            several = bool(getattr(picture, 'is_animated', False))
            preview = isinstance(picture, TiffImageFile) and picture.tag_v2.get(254, 0) & 1
    except Exception:  # reading the image will report the fault
        return False
    if preview:
        raise ValueError('its first picture is a preview, as in raw photos: save the full picture '
                         'as png or jpg')
    return several


def _opened(content: bytes) -> ImageFile:
    """Open a file with Pillow, of any size, without decoding pixels."""
    reads_heif()
    with _limit:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(BytesIO(content))
        finally:
            Image.MAX_IMAGE_PIXELS = most


def _why_unreadable(content: bytes, error: Exception) -> str:
    kind = content[8:12] if content[4:8] == b'ftyp' else b''
    if kind in (b'heic', b'heix', b'hevc', b'heim', b'heis', b'mif1', b'msf1') and not reads_heif():
        return f'it is a HEIC file: {HEIF_ADVICE}'
    if kind in (b'avif', b'avis'):
        return 'it is an AVIF file: it needs Pillow 11.3 or later, or the file is damaged'
    if 'truncated' in str(error):
        return 'it is cut off: the last pixels are missing'
    if content[:4] == b'PK\x03\x04':
        return 'it is an archive (.npz, .zip): a subclass of LoadImageFromFile may read it'
    return 'it is damaged, or no image'


def _ends(content: bytes) -> bool:
    """Return whether a JPEG file has its end marker; libjpeg fills missing parts with grey."""
    place = 2
    while content[place:place + 1] == b'\xff' and content[place + 1:place + 2] != b'\xda':
        if content[place + 1:place + 2] == b'\xff':  # a fill byte
            place += 1
        else:
            place += 2 + int.from_bytes(content[place + 2:place + 4], 'big')
    return content.find(b'\xff\xd9', place) >= 0  # entropy-coded data never contain FF D9


def _pnm_white(content: bytes) -> int | None:
    """Return the white value of a PNM file; None for other formats."""
    head = content[:1024]
    found = (_PAM if head[:2] == b'P7' else _PNM).match(head)
    return int(found[1]) if found else None
