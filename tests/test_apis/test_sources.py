"""What is taken for an image, how it lies, and what is refused."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mtpsl.apis.sources import PhotoReader, collect


def read(image):
    (source,), single = collect(image)
    assert single
    return source.read()


def test_arrays_are_rgb_or_grey(picture):
    np.testing.assert_array_equal(read(picture), picture[..., ::-1])
    np.testing.assert_array_equal(read(picture[..., 0])[..., 1], picture[..., 0])
    np.testing.assert_array_equal(read(Image.fromarray(picture).convert('RGBA')),
                                  picture[..., ::-1])


def test_a_photo_lies_as_it_is_shown(picture, tmp_path):
    """EXIF orientation 6: to be turned by a quarter clockwise."""
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / 'photo.png', exif=exif)
    for photo in (tmp_path / 'photo.png', Image.open(tmp_path / 'photo.png')):
        np.testing.assert_array_equal(read(photo)[..., ::-1], np.rot90(picture, -1))


def test_deep_pictures_keep_their_greys(tmp_path):
    values = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(32, 32)
    cv2.imwrite(str(tmp_path / 'deep.png'), values)
    for photo in (tmp_path / 'deep.png', Image.open(tmp_path / 'deep.png')):
        np.testing.assert_array_equal(read(photo)[..., 0], values >> 8)
    with pytest.raises(ValueError, match='image0: .*of 32 bits'):
        read(Image.fromarray(np.zeros((4, 4), np.int32)))


@pytest.mark.parametrize('options', [
    dict(white=4095), dict(white=4095, orientation='stored'),
    dict(white=4095, color_type='grayscale', imdecode_backend='pillow')])
def test_an_opened_image_is_read_by_the_pipelines_loader_too(options, tmp_path):
    image = Image.fromarray(np.linspace(0, 4095, 24 * 40).astype(np.uint16).reshape(24, 40))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / 'a.png', exif=exif)
    reader = PhotoReader([dict(type='mtpsl.LoadImageFromFile') | options])
    found = collect(tmp_path / 'a.png')[0][0].read(reader)
    assert found.shape == ((24, 40, 3) if 'orientation' in options else (40, 24, 3))
    assert found.max() == 255
    for opened in (Image.open(tmp_path / 'a.png'), Image.open(tmp_path / 'a.png')):
        np.testing.assert_array_equal(collect(opened)[0][0].read(reader), found)
        opened.load()
    np.testing.assert_array_equal(collect(opened)[0][0].read(reader), found)


def test_npy_images_are_read_as_data_sets_store_them(picture, tmp_path):
    np.save(tmp_path / '0.npy', picture.astype(np.float32) / 255)
    np.testing.assert_array_equal(read(tmp_path / '0.npy')[..., ::-1], picture)


def test_a_folder_gives_its_images_only(folder):
    (folder / 'notes.txt').write_text('no image')
    (folder / 'more').mkdir()
    sources, single = collect(str(folder))
    assert [source.name for source in sources] == ['0', '2', '10'] and not single
    sources, single = collect([folder / '10.png', np.zeros((4, 4, 3), np.uint8)])
    assert [source.name for source in sources] == ['10', 'image1'] and not single


@pytest.mark.parametrize('array', [
    np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8),
    np.zeros((1, 3, 4, 4), np.uint8)])
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match=r'image0: .*uint8.*got (float64|uint8) of shape'):
        read(array)


def test_what_is_no_image_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match='no image .*photo.jpg'):
        collect(tmp_path / 'photo.jpg')
    with pytest.raises(FileNotFoundError, match='images/more holds no image'):
        (folder / 'more').mkdir()
        collect(folder / 'more')
    with pytest.raises(TypeError, match='got dict'):
        collect({})
    with pytest.raises(TypeError, match='image 1 must be a path.*got int'):
        collect([folder / '0.png', 3])
    with pytest.raises(ValueError, match='list of images is empty'):
        collect([])
    cv2.imwrite(str(tmp_path / '0.jpg'), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"0.png and .*0.jpg would both be called '0'"):
        collect([folder / '0.png', tmp_path / '0.jpg'])


def test_an_unreadable_image_ends_the_work_or_is_skipped(infer, folder, tmp_path, capfd):
    (folder / '1.jpg').write_bytes(b'no image')
    for infer.batch_size in (1, 8):
        out = tmp_path / str(infer.batch_size)
        with pytest.raises(ValueError, match='cannot read the image .*1.jpg'):
            infer(folder, out_dir=out)
        assert (out / 'depth/0.png').is_file()  # what was done is kept
    results = infer(folder, on_error='skip')
    assert [result.name for result in results] == ['0', '2', '10']
    assert '4/4 images' in capfd.readouterr().out
    with pytest.raises(ValueError, match='cannot read the image .*1.jpg'):
        infer(folder / '1.jpg', on_error='skip')
