"""The head of a TIFF or BigTIFF file, which says what readers would do wrong."""

import struct
from typing import NamedTuple

from PIL import ExifTags

PHOTOMETRIC, WHITE_IS_ZERO, BLACK_IS_ZERO = 262, 0, 1
_BITS, _CHANNELS, _PLANES, _EXTRA, _FORMAT = 258, 277, 284, 338, 339
_INTEGERS = {3: 'H', 4: 'I', 16: 'Q'}  # type of a field -> of struct
_ADVICE = 'save it as RGB or grey of 8 or 16 bits'


class _Field(NamedTuple):
    kind: str  # of struct, in the file's order of bytes
    length: int
    place: int  # in the file, of the first value


class Layout(NamedTuple):
    """How the first picture of a file lies in it, as its tags say."""

    bits: int
    floats: bool
    channels: int
    photometric: int | None
    planar: bool  # one channel after the other
    alpha: bool  # by which colours are not multiplied

    def check(self) -> None:
        """Raise ValueError, which says how to save it, where OpenCV and Pillow would be wrong."""
        if self.photometric == WHITE_IS_ZERO and self.bits > 8:
            raise ValueError(f'it is a TIFF of {self.bits} bits in which 0 is white, a negative: '
                             'save it with 0 as black')
        # The first three of more bits are read as RGB.
        if self.photometric == BLACK_IS_ZERO and self.channels > (2 if self.bits == 8 else 3):
            raise ValueError(f'it is a TIFF of {self.channels} bands that does not say which are '
                             f'red, green and blue: {_ADVICE}, with photometric RGB')
        if self.planar and self.channels > 1 and self.bits > 8:
            raise ValueError(f'it is a TIFF of {self.bits} bits with one plane for each channel: '
                             'save it with the channels of a pixel together, or as png')
        if self.floats and self.bits != 32:
            raise ValueError(f'it is a TIFF of floats of {self.bits} bits: save it with 32 bits, or'
                             ' as npy')
        if self.bits > 8 and self.channels not in (1, 3, 3 if self.floats else 4):
            raise ValueError(f'it is a TIFF of {self.channels} channels of {self.bits} bits: '
                             f'{_ADVICE}')


def layout(content: bytes) -> Layout | None:
    """Of a file's content; None of another format, or of a head that is cut off."""
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
    except struct.error:  # its reader will say so
        return None


def unturned(content: bytes) -> bytes:
    """A file whose orientation is noted as 1: readers turn by themselves; others as they are."""
    try:
        field = _fields(content).get(ExifTags.Base.Orientation)
        if field is None:
            return content
        changed = bytearray(content)
        struct.pack_into(field.kind, changed, field.place, 1)
        return bytes(changed)
    except struct.error:  # its reader will say so
        return content


def _fields(content: bytes) -> dict[int, _Field]:
    """Tag -> where its numbers are, of the first directory; none of another format."""
    order = {b'II': '<', b'MM': '>'}.get(content[:2])
    version, = struct.unpack_from(f'{order}H', content, 2) if order else (0,)
    if version not in (42, 43):
        return {}
    # Where the first directory is, how many entries it has, and the size of one.
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
