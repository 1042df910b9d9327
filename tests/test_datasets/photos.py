"""Photos with a noted rotation."""

import struct

import numpy as np
from PIL import Image, ImageOps

TASKS = dict(classes=dict(type='Semseg', class_names=('a', 'b', 'c')),
             normal=dict(type='Normal'), depth=dict(type='Depth', png_unit=0.001))
ROWS, COLUMNS = np.indices((24, 40))
PIXELS = np.stack([ROWS * 10, COLUMNS * 6, ROWS + COLUMNS], 2).astype(np.uint8)  # as stored


def write_photo(path, orientation, pixels=PIXELS, **options):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif, **options)


def shown(orientation, pixels=PIXELS):
    """What Pillow makes of it."""
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def noted(orientation, content):
    """A little-endian TIFF with one more entry in its directory, which goes to the end."""
    start, = struct.unpack_from('<I', content, 4)
    count, = struct.unpack_from('<H', content, start)
    entries = [content[start + 2 + 12 * k:start + 14 + 12 * k] for k in range(count)]
    entries = [entry for entry in entries if entry[:2] != b'\x12\x01']
    entries.append(struct.pack('<HHII', 274, 3, 1, orientation))
    entries.sort(key=lambda entry: struct.unpack('<H', entry[:2]))
    return (content[:4] + struct.pack('<I', len(content)) + content[8:]
            + struct.pack('<H', len(entries)) + b''.join(entries) + bytes(4))
