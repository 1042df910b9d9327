"""TIFF files that readers garble."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mtpsl.datasets.transforms import LoadImageFromFile

RGB = np.linspace(0, 255, 8 * 9 * 3).astype(np.uint8).reshape(8, 9, 3)
RGB16 = RGB.astype(np.uint16) * 257
NIR = np.dstack([RGB, 255 - RGB[..., :1]])


@pytest.mark.parametrize('pixels, tags, words', [
    (RGB16[..., 0], dict(photometric='miniswhite'), '16 bits in which 0 is white'),
    (np.float32(RGB[..., 0] / 255), dict(photometric='miniswhite'), 'in which 0 is white'),
    (NIR, dict(photometric='minisblack', planarconfig='contig'), '4 bands that does not define'),
    (RGB16.transpose(2, 0, 1), dict(photometric='rgb', planarconfig='separate'), 'one plane for'),
    (RGB / 255, dict(photometric='rgb'), 'floats of 64 bits'),
    (np.float16(RGB[..., 0] / 255), {}, 'floats of 16 bits'),
    (np.dstack([RGB16, RGB16]), dict(photometric='rgb'), '6 channels of 16 bits'),
    (RGB16[..., :2], dict(photometric='minisblack', planarconfig='contig'), '2 channels of 16'),
    *((deep, dict(photometric='minisblack', planarconfig='contig'), RGB)
      for deep in (RGB16, np.float32(RGB / 255))),
    (RGB[..., 0], dict(photometric='miniswhite'), 255 - RGB[..., :1].repeat(3, 2)),
    (NIR, dict(photometric='rgb', extrasamples=['unassalpha']), RGB),
    (RGB.transpose(2, 0, 1), dict(photometric='rgb', planarconfig='separate'), RGB),
    (RGB16, dict(photometric='rgb', byteorder='>', bigtiff=True), RGB)])
def test_tiffs_are_read_right_or_refused(
        pixels: np.ndarray, tags: dict, words: str | np.ndarray, tmp_path: Path) -> None:
    path = str(tmp_path / 'a.tif')
    tifffile.imwrite(path, pixels, **tags)
    if isinstance(words, str):
        with pytest.raises(ValueError, match=f'a.tif: it is a TIFF of .*{words}'):
            LoadImageFromFile().transform(dict(img_path=path))
    else:
        image = LoadImageFromFile().transform(dict(img_path=path))['img']
        np.testing.assert_array_equal(image[..., ::-1], words)


def test_a_negative_that_pillow_has_loaded_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / 'a.tif', RGB16[..., 0], photometric='miniswhite')
    image = Image.open(io.BytesIO((tmp_path / 'a.tif').read_bytes()))
    image.load()
    with pytest.raises(ValueError, match='0 is white'):
        LoadImageFromFile().from_pillow(image)
