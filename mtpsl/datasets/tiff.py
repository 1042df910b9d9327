"""Read the header of a TIFF or BigTIFF file and refuse layouts that the readers get wrong."""

import struct
from typing import NamedTuple

from PIL import ExifTags

PHOTOMETRIC, WHITE_IS_ZERO, BLACK_IS_ZERO = 262, 0, 1
_BITS, _CHANNELS, _PLANES, _EXTRA, _FORMAT = 258, 277, 284, 338, 339
_INTEGERS = {3: 'H', 4: 'I', 16: 'Q'}  # TIFF field type -> struct format
_ADVICE = 'save it as RGB or grey of 8 or 16 bits'


class _Field(NamedTuple):
    kind: str  # struct format, with byte order
    length: int
    place: int  # offset of the first value in the file


class Layout(NamedTuple):
    """Layout of the first picture of a file, from its tags."""

    bits: int
    floats: bool
    channels: int
    photometric: int | None
    planar: bool  # one plane per channel
    alpha: bool  # unassociated: colours are not multiplied by it

    def check(self) -> None:
        """Raise ValueError, with advice how to save it, if OpenCV or Pillow would misread it."""
        if self.photometric == WHITE_IS_ZERO and self.bits > 8:
            raise ValueError(f'it is a TIFF of {self.bits} bits in which 0 is white (a negative): '
                             'save it with 0 as black')
        # With more than 8 bits, the first three bands would be read as RGB.
        if self.photometric == BLACK_IS_ZERO and self.channels > (2 if self.bits == 8 else 3):
            raise ValueError(f'it is a TIFF of {self.channels} bands that does not define which '
                             f'are red, green and blue: {_ADVICE}, with photometric RGB')
        if self.planar and self.channels > 1 and self.bits > 8:
            raise ValueError(f'it is a TIFF of {self.bits} bits with one plane for each channel: '
                             'save it with interleaved channels, or as png')
        if self.floats and self.bits != 32:
            raise ValueError(f'it is a TIFF of floats of {self.bits} bits: save it with 32 bits, or'
                             ' as npy')
        if self.bits > 8 and self.channels not in (1, 3, 3 if self.floats else 4):
            raise ValueError(f'it is a TIFF of {self.channels} channels of {self.bits} bits: '
                             f'{_ADVICE}')


def layout(content: bytes) -> Layout | None:
    """Read the layout from a file's content; None for other formats or a truncated header."""
    try:
        fields = _fields(content)
        if not fields:
            return None

        def values(tag: int, default: int) -> tuple[int, ...]:
            field = fields.get(tag)
            if field is None or not field.length:
                return (default,)
            form = f'{field.kind[0]}{min(field.length, 16)}{field.kind[1]}'
            return struct.unpack_from(form, content, field.place)
        return Layout(max(values(_BITS, 1)), values(_FORMAT, 1)[0] == 3, values(_CHANNELS, 1)[0],
                      values(PHOTOMETRIC, -1)[0], values(_PLANES, 1)[0] == 2,
                      2 in values(_EXTRA, 0))
    except struct.error:  # the reader of the image will report it
        return None


def unturned(content: bytes) -> bytes:
    """Set the orientation of a TIFF file to 1, so that readers do not turn it."""
    try:
        field = _fields(content).get(ExifTags.Base.Orientation)
        if field is None:
            return content
        changed = bytearray(content)
        struct.pack_into(field.kind, changed, field.place, 1)
        return bytes(changed)
    except struct.error:  # the reader of the image will report it
        return content


def _fields(content: bytes) -> dict[int, _Field]:
    """Return tag -> field of the first directory; empty for other formats."""
    order = {b'II': '<', b'MM': '>'}.get(content[:2])
    version, = struct.unpack_from(f'{order}H', content, 2) if order else (0,)
    if version not in (42, 43):
        return {}
    # Offset of the first directory, and formats and sizes of its number of entries and of an entry.
    at, number, wide, size = (8, 'Q', 8, 20) if version == 43 else (4, 'I', 2, 12)
    start, = struct.unpack_from(f'{order}{number}', content, at)
    count, = struct.unpack_from(f'{order}{"Q" if version == 43 else "H"}', content, start)
    found = {}
    for entry in range(start + wide, start + wide + min(count, 65535) * size, size):
        tag, kind, length = struct.unpack_from(f'{order}HH{number}', content, entry)
        if kind not in _INTEGERS:
            continue
        place = entry + 4 + struct.calcsize(f'<{number}')
        if length * struct.calcsize(_INTEGERS[kind]) > struct.calcsize(f'<{number}'):
            place, = struct.unpack_from(f'{order}{number}', content, place)
        found[tag] = _Field(f'{order}{_INTEGERS[kind]}', length, place)
    return found
