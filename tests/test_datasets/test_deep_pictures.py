"""Pictures as programs save them: 16 bits, palettes, other formats under another name."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.pictures import Indexed, read_label_picture, to_bytes
from mtpsl.datasets.transforms import LoadImageFromFile

from .own_data import READ, ROWS, SIZE, TASKS, folder_dataset, write_own_data

DEEP = (np.arange(600).reshape(SIZE) * 100).astype(np.uint16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_own_data(tmp_path)


# ------------------------------------------------------------------ labels


def test_16_bits_of_three_channels_are_not_cut(tmp_path: Path) -> None:
    path = str(tmp_path / 'a.png')
    colours = np.stack([DEEP, DEEP + 1, DEEP + 2], 2)  # BGR to OpenCV
    cv2.imwrite(path, colours)
    np.testing.assert_array_equal(read_label_picture(path), colours[..., ::-1])
    cv2.imwrite(path, np.dstack([colours, np.full_like(DEEP, 65535)]))
    np.testing.assert_array_equal(read_label_picture(path), colours[..., ::-1])
    cv2.imwrite(path, DEEP)
    np.testing.assert_array_equal(read_label_picture(path), DEEP)


def test_a_palette_comes_with_the_indices(tmp_path: Path) -> None:
    picture = Image.fromarray((ROWS % 2).astype(np.uint8))
    picture.putpalette([1, 2, 3, 4, 5, 6])
    picture.save(tmp_path / 'a.png')
    pixels = read_label_picture(str(tmp_path / 'a.png'))
    assert isinstance(pixels, Indexed) and pixels.palette.shape == (256, 3)
    np.testing.assert_array_equal(pixels, ROWS % 2)
    assert pixels.palette[:2].tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 3])
def test_class_ids_however_they_are_saved(root: Path, kind: type, channels: int) -> None:
    ids = (ROWS % 3).astype(kind)
    cv2.imwrite(str(root / 'train/classes/1.png'), np.dstack([ids] * channels))
    label = folder_dataset(root)[0]['gt']['classes']
    np.testing.assert_array_equal(label, ROWS % 3)
    assert label.dtype == np.uint8 and type(label) is np.ndarray


def test_a_mask_by_the_colours_of_its_palette(root: Path) -> None:
    picture = Image.fromarray((ROWS < 3).astype(np.uint8))
    for palette, expected in (([0, 0, 0, 255, 255, 255], ROWS < 3),
                              ([255, 255, 255, 0, 0, 0], ROWS >= 3)):
        picture.putpalette(palette)
        picture.save(root / 'train/mask/1.png')
        np.testing.assert_array_equal(folder_dataset(root)[0]['gt']['mask'], expected)


def test_colour_coded_classes_in_both_kinds_of_file(root: Path) -> None:
    colours = np.array([(0, 0, 0), (250, 0, 0), (0, 0, 250)], np.uint8)
    tasks = TASKS | dict(classes=TASKS['classes'] | dict(palette=colours.tolist(),
                                                         colour_coded=True))
    path = root / 'train/classes/1.png'
    painted = Image.fromarray(colours[ROWS % 3])
    for picture in (painted, painted.convert('P', palette=Image.Palette.ADAPTIVE)):
        picture.save(path)
        np.testing.assert_array_equal(folder_dataset(root, tasks)[0]['gt']['classes'], ROWS % 3)
    path.unlink()
    np.save(path.with_suffix('.npy'), colours[ROWS % 3])
    np.testing.assert_array_equal(folder_dataset(root, tasks)[0]['gt']['classes'], ROWS % 3)


@pytest.mark.parametrize('form', ['JPEG', 'WEBP', 'BMP'])
def test_another_format_under_the_name_of_a_png(root: Path, form: str) -> None:
    with open(root / 'train/mask/1.png', 'wb') as file:
        Image.fromarray((ROWS % 2 * 255).astype(np.uint8)).save(file, form)
    with pytest.raises(RuntimeError, match=f'mask .*1.png: the content of the file is {form}'):
        folder_dataset(root)[0]


def test_an_archive_of_arrays_is_no_array(root: Path) -> None:
    np.savez(root / 'a.npz', ROWS)
    shutil.move(root / 'a.npz', root / 'train/depth/10.npy')
    with pytest.raises(RuntimeError, match='depth label .*10.npy: the file holds several arrays'):
        folder_dataset(root)[2]


@pytest.mark.parametrize('side, good', [(1, False), (2, True)])
def test_boundaries_need_two_pixels_a_side(tmp_path: Path, side: int, good: bool) -> None:
    for folder in ('images', 'edges'):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / '0.png'), np.zeros((side, 9), np.uint8))
    data = folder_dataset(tmp_path, dict(edges=dict(type='Boundary')), '', folders=None)
    if good:
        assert data[0]['gt']['edges'].shape == (2, 9)
        return
    with pytest.raises(RuntimeError, match=r'^FolderDataset, image 0: .*edges/0.png: images for '
                       r'edges must have sides of at least 2 pixels, got \(1, 9\)'):
        data[0]


# ------------------------------------------------------------------ images


@pytest.mark.parametrize('suffix', ['png', 'tif', 'npy'])
@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_images_of_more_bits(tmp_path: Path, suffix: str, bits: int) -> None:
    top = (1 << bits) - 1
    pixels = np.linspace(0, top, 8 * 9 * 3).round().astype(np.uint16).reshape(8, 9, 3)
    path = str(tmp_path / f'a.{suffix}')
    if suffix == 'npy':
        np.save(path, pixels[..., ::-1])
    else:
        cv2.imwrite(path, pixels)
    if bits < 16:
        with pytest.raises(ValueError, match=f'cannot read the image {path}: an image of 16 bits '
                           f'goes up to {top} only, of 65535, .*Set white={top} of LoadImage'):
            LoadImageFromFile().transform(dict(img_path=path))
        image = LoadImageFromFile(white=65535).transform(dict(img_path=path))['img']
        np.testing.assert_array_equal(image, pixels >> 8)
    image = LoadImageFromFile(white=top).transform(dict(img_path=path))['img']
    assert image.dtype == np.uint8 and image.shape == (8, 9, 3)
    np.testing.assert_allclose(image, pixels * (255 / top), atol=1)
    assert image.max() == 255
    if bits > 8:
        with pytest.raises(ValueError, match=f'goes up to {top}, above white=900'):
            LoadImageFromFile(white=900).transform(dict(img_path=path))


def test_images_of_16_bits_are_as_they_were(tmp_path: Path) -> None:
    path = str(tmp_path / 'a.png')
    for pixels in (DEEP, np.dstack([DEEP] * 3)):
        cv2.imwrite(path, pixels)
        np.testing.assert_array_equal(LoadImageFromFile().transform(dict(img_path=path))['img'],
                                      cv2.imread(path, cv2.IMREAD_COLOR))
    assert to_bytes(np.zeros((2, 2), np.uint16)).max() == 0  # black is black


def test_images_of_floats(tmp_path: Path) -> None:
    path = str(tmp_path / 'a.tif')
    pixels = np.linspace(0, 1, 8 * 9 * 3, dtype=np.float32).reshape(8, 9, 3)
    cv2.imwrite(path, pixels)
    image = LoadImageFromFile().transform(dict(img_path=path))['img']
    np.testing.assert_array_equal(image, (pixels * 255 + 0.5).astype(np.uint8))
    cv2.imwrite(path, pixels * 255)
    with pytest.raises(ValueError, match=r'a.tif: an image of floats must lie in \[0, 1\]'):
        LoadImageFromFile().transform(dict(img_path=path))


def ramp(low: float, high: float, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(low, high, 60 * 60).astype(dtype).reshape(60, 60)


def test_a_hot_pixel_hides_no_12_bits(tmp_path: Path) -> None:
    pixels, path = ramp(0, 4000), str(tmp_path / 'a.png')
    pixels[0, :3] = 65535
    cv2.imwrite(path, pixels)
    with pytest.raises(ValueError, match='up to 4000 only, .* hot pixels, .* white=4095'):
        LoadImageFromFile().transform(dict(img_path=path))
    image = LoadImageFromFile(white=4095).transform(dict(img_path=path))['img']
    assert (image[0, :3] == 255).all() and image[-1, -1, 0] == 249
    with pytest.raises(ValueError, match='nearly black'):
        to_bytes(np.where(pixels > 60000, 1, pixels / 65535))


@pytest.mark.parametrize('pixels, white, words', [
    (ramp(29300, 31000), None, 'a: values from 29300 to 31000 become 7 greys'),
    (ramp(.4, .45, float), None, 'become 13 greys'),
    (ramp(0, 1023), 4095, 'a: the image goes up to 1023 only, with white=4095'),
    (ramp(0, 1, float), 255, 'up to 1 only, with white=255'),
    (np.where(ramp(0, 1) > 0, 65535, ramp(0, 4000)), 4095, '1 values above white=4095'),
    (ramp(29300, 31000), 65535, ''), (ramp(0, .04, float), 1, ''), (ramp(0, 20000), None, ''),
    (np.full((9, 9), 30000, np.uint16), None, ''), (ramp(0, 1100), 4095, ''),
    (np.zeros((9, 9), np.uint16), 4095, ''), (np.float32(np.eye(60)), None, ''),
    (np.eye(60, dtype=np.uint16) * 65535, None, '')])
def test_images_of_few_greys_are_said_once(
        pixels: np.ndarray, white: float | None, words: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr('mtpsl.datasets.mended._said', set())
    monkeypatch.setattr('mtpsl.datasets.mended.print_log', lambda text, *_: said.append(text))
    for _ in range(2):
        assert to_bytes(pixels, white, 'a').dtype == np.uint8
    assert len(said) == bool(words) and words in ''.join(said)


@pytest.mark.parametrize('white', [0, 0.5, 70000, '4095', True, float('nan')])
def test_white_is_a_number_of_16_bits(white: object) -> None:
    with pytest.raises(ValueError, match='white must be a number from 1 to 65535'):
        LoadImageFromFile(white=white)


def test_floats_of_another_scale(tmp_path: Path) -> None:
    """One rule for .npy, for TIFF of three channels and of one, and for an image of Pillow's."""
    values = np.linspace(0, 1, 8 * 9 * 3, dtype=np.float32).reshape(8, 9, 3)
    np.save(tmp_path / 'a.npy', values)
    grey = values[..., :1].repeat(3, 2)
    for scale, white, error in ((255, 255, r'must lie in \[0, 1\]'), (1 / 255, 1, 'nearly black')):
        np.save(tmp_path / 'a.npy', values * scale)
        cv2.imwrite(str(tmp_path / 'a.tif'), values[..., ::-1] * scale)
        Image.fromarray(values[..., 0] * scale).save(tmp_path / 'grey.tif')
        for name, pixels in (('a.npy', values), ('a.tif', values), ('grey.tif', grey)):
            path = dict(img_path=str(tmp_path / name))
            with pytest.raises(ValueError, match=error):
                LoadImageFromFile().transform(path)
            expected = (pixels * scale * (255 / white) + 0.5).astype(np.uint8)
            read = LoadImageFromFile(white=white)
            np.testing.assert_array_equal(read.transform(path)['img'][..., ::-1], expected)
            if name == 'grey.tif':
                for image in (Image.open(tmp_path / name), Image.fromarray(pixels[..., 0] * scale)):
                    np.testing.assert_array_equal(read.from_pillow(image)[..., ::-1], expected)
                    with pytest.raises(ValueError, match=error):
                        LoadImageFromFile().from_pillow(image)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('maxval', [1, 15, 255, 1023, 4095, 65535])
@pytest.mark.parametrize('binary', [True, False])
def test_white_of_a_pnm_is_what_it_says(
        binary: bool, maxval: int, channels: int, tmp_path: Path) -> None:
    values = np.linspace(0, maxval, 6 * 5 * channels).round().astype(int).reshape(6, 5, channels)
    kind = {1: 2, 3: 3}[channels] + 3 * binary
    path = tmp_path / 'a.pnm'
    path.write_bytes(f'P{kind}\n# a camera\n5 6\n{maxval}\n'.encode() + (
        values.astype('>u2' if maxval > 255 else 'u1').tobytes() if binary
        else ' '.join(map(str, values.ravel())).encode()))
    expected = np.broadcast_to(values * 255 / maxval, (6, 5, 3))
    for found in (LoadImageFromFile().transform(dict(img_path=str(path)))['img'],
                  LoadImageFromFile().from_pillow(Image.open(path))):
        np.testing.assert_allclose(found[..., ::-1], expected, atol=1)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'jp2', 'pgm', 'ppm'])
@pytest.mark.parametrize('options', [
    {}, dict(imdecode_backend='pillow'), dict(color_type='grayscale'), dict(color_type='unchanged'),
    dict(color_type='color')])
def test_12_bits_are_told_from_16_by_every_way_of_reading(
        options: dict, suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f'a.{suffix}')
    pixels = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
    for image in (pixels, np.dstack([pixels] * 3)):
        if suffix == 'ppm' and image.ndim == 2 or suffix == 'pgm' and image.ndim == 3:
            continue
        cv2.imwrite(path, image)
        ways = (lambda read: read.transform(dict(img_path=path))['img'],
                lambda read: read.from_pillow(Image.open(path)))
        for way in ways:
            with pytest.raises(ValueError, match='white=4095'):
                way(LoadImageFromFile(**options))
            found = way(LoadImageFromFile(**options, white=4095))
            assert found.shape[:2] == (64, 64) and found.dtype == np.uint8
            np.testing.assert_allclose(found.reshape(64, 64, -1)[..., 0], pixels / 4095 * 255,
                                       atol=1)


def test_readers_whose_images_would_differ_are_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="imdecode_backend must be one of .*'tifffile'"):
        LoadImageFromFile(imdecode_backend='tifffile')
    with pytest.raises(ValueError, match="color_type must be one of .*'rgb'"):
        LoadImageFromFile(color_type='rgb')
    steps = [dict(type='mmcv.LoadImageFromFile'), *READ[1:]]
    with pytest.raises(ValueError, match="Write dict.type='mtpsl.LoadImageFromFile'"):
        folder_dataset(root, pipeline=steps)


def test_the_check_reads_images_as_the_config_does(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    (tmp_path / 'mask').mkdir()
    cv2.imwrite(str(tmp_path / 'images/0.png'), np.full((8, 9, 3), 4000, np.uint16))
    cv2.imwrite(str(tmp_path / 'mask/0.png'), np.eye(8, 9, dtype=np.uint8) * 255)
    config = dict(type='mtpsl.FolderDataset', data_root=str(tmp_path),
                  tasks=dict(mask=dict(type='Saliency')))
    assert 'white=4095' in check_configs(dict(train=config)).problems[0]
    config['pipeline'] = [dict(type='LoadImageFromFile', white=4095), dict(type='LoadLabels')]
    assert check_configs(dict(train=config)).sound
