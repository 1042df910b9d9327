"""From the content of an image's file to its pixels, which lie as they are stored.

No decoder turns a photograph here, so that nobody need know which of them would: the orientation
is read apart (:func:`exif_orientation`), and turning is the caller's.
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
MOST_PIXELS = 1 << 30  # of an image, as OpenCV has it
# Kind and size (or maxval) in the head of a file of the PNM family, with its comments.
_PNM = re.compile(rb'P[2356](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)')
_PAM = re.compile(rb'P7\s(?:.*\n)*?MAXVAL\s+(\d+)')
_limit = threading.Lock()


def decode(content: bytes, backend: str = 'cv2') -> np.ndarray:
    """The stored picture of a file: (H, W, 3) BGR of its own depth, without alpha.

    8 bits are uint8, 10 to 16 bits uint16 as they are, floats float32. Of several frames it is
    the first.

    Args:
        content: of the file.
        backend: one of ``BACKENDS``, which decodes JPEG; all others have one result whoever does.

    Raises:
        ValueError: it cannot be read; the message says why.
    """
    if content[:2] == b'\xff\xd8':
        if not _ends(content):
            raise ValueError('it is cut off: a JPEG file without its end')
        if backend != 'cv2':
            return mmcv.imfrombytes(content, 'color_ignore_orientation', backend=backend)
    tiff = layout(content)
    if tiff:
        tiff.check()
        content = unturned(content)
        if tiff.alpha and tiff.bits == 8:  # by which OpenCV multiplies
            return decode_with_pillow(content)
    if _pnm_white(content) not in (None, 255, 65535):
        return decode_with_pillow(content)  # which scales them; OpenCV does so for some
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # such as an image of too many pixels
        pixels = None
    return decode_with_pillow(content) if pixels is None else pixels


def decode_with_pillow(content: bytes) -> np.ndarray:
    """As :func:`decode`, of any format that Pillow knows; colours of 16 bits lose the lower 8."""
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
    """A Pillow image as (H, W, 3) RGB of its own depth, as :func:`decode` has it, as it lies.

    Raises:
        ValueError: a mode of which it is not known what is black and what white.
    """
    if image.mode.startswith('I;16'):
        pixels = np.asarray(image)
        return pixels.astype(np.uint16)[..., None].repeat(3, 2)
    if image.mode == 'F':
        return np.asarray(image)[..., None].repeat(3, 2)
    if image.mode == 'I' and image.format == 'PPM':  # scaled to 16 bits by Pillow
        return np.asarray(image).astype(np.uint16)[..., None].repeat(3, 2)
    if image.mode == 'I':
        raise ValueError('of an image of 32 bits it is not known what is black and what white; '
                         'save it with 8 or 16 bits')
    return np.asarray(image.convert('RGB'))


def stored_content(image: Image.Image) -> bytes | None:
    """The file's content of a Pillow image as it was opened; None once it was loaded or sought.

    Pillow cuts colours of 16 bits to 8 when it loads, and garbles some TIFF files that it maps
    into memory and turns.

    Raises:
        ValueError: what cannot be read right any more.
    """
    if not isinstance(image, ImageFile) or image.tell():
        return None
    if image.tile and not image.decoderconfig:  # no draft of another size was asked for
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
    """The EXIF orientation, 1 to 8, of a photograph's file; 1 where none is noted."""
    try:
        with _opened(content) as picture:
            noted = picture.getexif().get(ExifTags.Base.Orientation, 1)
            return noted if noted in TURNS else 1
    except Exception:  # no picture for Pillow, or its EXIF is damaged
        return 1


def has_frames(content: bytes) -> bool:
    """Whether a file has several frames or pages, of which one is read.

    The second picture of a photo (MPO) is a preview or for the other eye, and does not count.

    Raises:
        ValueError: the first of them is a preview, as in raw photos.
    """
    if content[:2] == b'\xff\xd8':
        return False
    try:
        with _opened(content) as picture:
            several = bool(getattr(picture, 'is_animated', False))
            preview = isinstance(picture, TiffImageFile) and picture.tag_v2.get(254, 0) & 1
    except Exception:  # no picture for Pillow, or damaged: reading will say so
        return False
    if preview:
        raise ValueError('its first picture is a preview of the others, as in raw photos: save the '
                         'picture itself as png or jpg')
    return several


def _opened(content: bytes) -> ImageFile:
    """The file as Pillow opens it, of any size: no pixel is decoded yet."""
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
        return 'it is an AVIF file: Pillow 11.3 or later reads it if it is whole'
    if 'truncated' in str(error):
        return 'it is cut off: the end of its pixels is missing'
    if content[:4] == b'PK\x03\x04':
        return 'it is an archive (.npz, .zip): a subclass of LoadImageFromFile may read it'
    return 'it is damaged, or no image'


def _ends(content: bytes) -> bool:
    """Whether a JPEG file has its end mark; libjpeg fills up with grey what is cut off."""
    place = 2
    while content[place:place + 1] == b'\xff' and content[place + 1:place + 2] != b'\xda':
        if content[place + 1:place + 2] == b'\xff':  # a byte that fills
            place += 1
        else:
            place += 2 + int.from_bytes(content[place + 2:place + 4], 'big')
    return content.find(b'\xff\xd9', place) >= 0  # in the pixels' code no 255 is followed by 217


def _pnm_white(content: bytes) -> int | None:
    """What is white in a file of the PNM family; None of others."""
    head = content[:1024]
    found = (_PAM if head[:2] == b'P7' else _PNM).match(head)
    return int(found[1]) if found else None
