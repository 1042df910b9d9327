"""Photographs with an EXIF orientation are read as they are shown."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mtpsl.apis.sources import collect
from mtpsl.datasets.photo import TURNS, turn
from mtpsl.datasets.transforms import LoadImageFromFile
from mtpsl.tasks import build_tasks

from .photos import COLUMNS, PIXELS, ROWS, TASKS, noted, shown, write_photo


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['jpg', 'jfif', 'png', 'tif', 'webp'])
def test_all_eight_orientations(suffix, orientation, tmp_path):
    path = tmp_path / f'a.{suffix}'
    options = dict(quality=100) | (dict(lossless=True) if suffix == 'webp' else {})
    write_photo(path, orientation, **options)
    for lies, pixels in (('stored', PIXELS), ('upright', shown(orientation))):
        results = LoadImageFromFile(orientation=lies).transform(dict(img_path=str(path)))
        assert results['img_shape'] == results['ori_shape'] == pixels.shape[:2]
        assert np.abs(results['img'][..., ::-1].astype(int) - pixels).mean() < 4
        assert results['orientation'] == (orientation if lies == 'upright' else 1)
    (source,), _ = collect(path)  # inference
    assert np.abs(source.read()[..., ::-1].astype(int) - shown(orientation)).mean() < 4


@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', 'CMYK', 'RGBA', 'LA', '1', 'I;16'])
@pytest.mark.parametrize('options', [
    {}, dict(big_tiff=True), dict(compression='tiff_lzw'), dict(format='PNG')])
@pytest.mark.parametrize('orientation', [3, 6])
def test_a_file_has_one_picture_however_it_is_given(mode, options, orientation, tmp_path):
    image = Image.fromarray(PIXELS).convert('L' if mode == 'I;16' else mode)
    if mode == 'I;16':
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    stored = np.asarray(image)[..., None].repeat(3, 2) >> 8 if mode == 'I;16' else (
        np.asarray(image.convert('RGB')))
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / 'a.tif'
    image.save(path, exif=exif, **({} if mode == 'CMYK' and 'format' in options else options))
    closed = Image.open(io.BytesIO(path.read_bytes()))
    mapped = Image.open(path)
    for loaded in (closed, mapped):
        loaded.load()
    for given in (path, Image.open(path), Image.open(io.BytesIO(path.read_bytes())), closed,
                  mapped):
        (source,), _ = collect(given)
        found = source.read()[..., ::-1]
        np.testing.assert_array_equal(found, turn(stored, TURNS[orientation]))
    results = LoadImageFromFile(orientation='stored').transform(dict(img_path=str(path)))
    np.testing.assert_array_equal(results['img'][..., ::-1], stored)


@pytest.mark.parametrize('orientation', [2, 3, 6])
@pytest.mark.parametrize('values', [
    np.dstack([ROWS * 2600, COLUMNS * 1600, ROWS]).astype(np.uint16),
    (ROWS / 24 + COLUMNS[..., ::-1] / 400).astype(np.float32)])
def test_deep_tiffs_are_turned_once(values, orientation, tmp_path):
    """Those that OpenCV reads and Pillow does not, and the reverse."""
    path = str(tmp_path / 'a.tif')
    if values.ndim == 3:
        cv2.imwrite(path, values[..., ::-1])
        (tmp_path / 'a.tif').write_bytes(noted(orientation, (tmp_path / 'a.tif').read_bytes()))
        expected = (values >> 8).astype(np.uint8)
    else:
        write_photo(path, orientation, values.clip(0, 1))
        expected = (values.clip(0, 1)[..., None].repeat(3, 2) * 255 + 0.5).astype(np.uint8)
    for given in (path, Image.open(path)):
        (source,), _ = collect(given)
        np.testing.assert_array_equal(source.read()[..., ::-1],
                                      turn(expected, TURNS[orientation]))


@pytest.mark.parametrize('suffix, options', [
    ('jpg', dict(quality=100)), ('png', {}), ('tif', {}), ('tif', dict(compression='tiff_lzw')),
    ('webp', {}), ('gif', {}), ('bmp', {}), ('ppm', {}), ('jp2', {}), ('avif', {}), ('tga', {})])
def test_what_is_cut_off_is_never_half_an_image(suffix, options, tmp_path):
    Image.fromarray(PIXELS.repeat(4, 0).repeat(4, 1)).save(tmp_path / f'b.{suffix}', **options)
    content = (tmp_path / f'b.{suffix}').read_bytes()
    path = tmp_path / f'a.{suffix}'
    for size in (0, 1, len(content) // 3, len(content) // 2, len(content) * 9 // 10):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=f'a.{suffix}: .*(cut off|damaged|empty|AVIF)'):
            collect(path)[0][0].read()
        if size > 1:
            with pytest.raises((ValueError, OSError), match='image0|identify|decoder'):
                collect(Image.open(path))[0][0].read()
    if suffix == 'jpg':  # which older versions of OpenCV fill up with grey
        path.write_bytes(content[:size] + bytes(len(content) - size))
        with pytest.raises(ValueError, match='it is cut off: the end of the JPEG'):
            collect(path)[0][0].read()


def test_what_follows_a_jpeg_does_not_matter(tmp_path):
    """As in photos of telephones, which append a film; a thumbnail's end is not the photo's."""
    write_photo(tmp_path / 'a.jpg', 1, quality=100)
    content = (tmp_path / 'a.jpg').read_bytes()
    with_thumbnail = content[:2] + b'\xff\xe1\0\6\xff\xd9\xff\xff' + content[2:]
    for more in (content + b'film' * 99, with_thumbnail):
        (tmp_path / 'a.jpg').write_bytes(more)
        assert collect(tmp_path / 'a.jpg')[0][0].read().shape == PIXELS.shape
    (tmp_path / 'a.jpg').write_bytes(with_thumbnail[:-2])
    with pytest.raises(ValueError, match='cut off'):
        collect(tmp_path / 'a.jpg')[0][0].read()


@pytest.mark.parametrize('orientation', range(2, 9))
def test_normals_are_turned_with_their_picture(orientation):
    """The vector of a pixel goes where the vector from it to its neighbour goes."""
    task = build_tasks(TASKS)['normal']
    for right, up in ((1, 0), (0, 1)):
        stored = np.zeros((5, 7, 3), np.float32)
        stored[2, 3] = (0.6 * right, 0.6 * up, 0.8)
        marks = np.zeros((5, 7), np.uint8)
        marks[2, 3], marks[2 - up, 3 + right] = 1, 2
        marks = turn(marks, TURNS[orientation])
        start, end = (np.argwhere(marks == mark)[0] for mark in (1, 2))
        turned = turn(stored, TURNS[orientation], task.transpose, task.flip)
        down, x = end - start
        np.testing.assert_allclose(turned[tuple(start)], (0.6 * x, -0.6 * down, 0.8), atol=1e-6)
