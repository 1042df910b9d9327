"""Labels of photos that are turned, and files of all kinds in a dataset."""

import logging
import os
import sys
import types

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from mtpsl.apis.sources import collect
from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.decoding import decode_with_pillow
from mtpsl.datasets.folder import list_images, list_labels
from mtpsl.datasets.photo import TURNS, reads_heif, turn
from mtpsl.datasets.transforms import LoadImageFromFile, LoadLabels
from mtpsl.tasks import build_tasks

from .conftest import PERSON, READ, reader
from .conftest import TASKS as TASKS_OF_PASCAL
from .own_data import folder_dataset
from .photos import PIXELS, TASKS, shown, write_photo


def write_labels(root, classes, normal):
    for name, values in (('classes', classes), ('normal', normal)):
        (root / name).mkdir(exist_ok=True)
        np.save(root / name / '1.npy', values)


@pytest.fixture
def photo(tmp_path):
    """``photo(orientation, stored)``: a folder of one photo whose labels lie so."""
    def write(orientation, stored, pixels=PIXELS):
        root = tmp_path / 'data'
        (root / 'images').mkdir(parents=True, exist_ok=True)
        write_photo(root / 'images/1.png', orientation, pixels)
        task = build_tasks(TASKS)['normal']
        classes = (pixels[..., 1] > 100).astype(np.uint8)
        normal = np.where(classes[..., None], np.float32([0.6, 0, 0.8]), np.float32([0, 0.6, 0.8]))
        if not stored:
            classes = turn(classes, TURNS[orientation])
            normal = turn(normal, TURNS[orientation], task.transpose, task.flip)
        write_labels(root, classes, normal)
        return root
    return write


def agree(results, orientation):
    """Labels lie on the image, and the normals in its axes."""
    right = results['img'][..., 1] > 100  # the middle channel is the same in RGB and BGR
    vectors = [turn(np.full((1, 1, 3), vector, np.float32), TURNS[orientation],
                    *[getattr(build_tasks(TASKS)['normal'], name) for name in
                      ('transpose', 'flip')])[0, 0] for vector in ((0.6, 0, 0.8), (0, 0.6, 0.8))]
    return (np.array_equal(results['gt']['classes'], right)
            and np.allclose(results['gt']['normal'], np.where(right[..., None], *vectors)))


def dataset(root, *options, pipeline=READ):
    tasks = {name: TASKS[name] for name in ('classes', 'normal')}
    steps = [step | option for step, option in zip(pipeline, [*options, {}, {}])]
    return folder_dataset(root, tasks, split='', folders=None, pipeline=steps)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_labels_of_the_picture_as_shown_fit(orientation, photo):
    assert agree(dataset(photo(orientation, stored=False))[0], orientation)


@pytest.mark.parametrize('orientation', range(5, 9))
def test_labels_of_the_stored_picture_are_known_by_their_size(orientation, photo):
    assert agree(dataset(photo(orientation, stored=True))[0], orientation)


@pytest.mark.parametrize('orientation, pixels', [
    (2, PIXELS), (3, PIXELS), (4, PIXELS), (6, PIXELS[:, :24]), (7, PIXELS[:, 10:34])])
def test_where_the_size_cannot_tell_an_option_does(orientation, pixels, photo):
    root = photo(orientation, True, pixels)
    assert not agree(dataset(root)[0], orientation)
    stored = dict(stored=('classes', 'normal'))
    results = dataset(root, {}, stored)[0]
    assert agree(results, orientation) and results['img'].shape[0] == 24
    # Or as before: nothing is turned.
    assert agree(dataset(root, dict(orientation='stored'))[0], 1)
    assert agree(dataset(photo(orientation, False, pixels))[0], orientation)


def test_wrong_options_and_sizes(photo):
    root = photo(6, stored=False)
    with pytest.raises(ValueError, match='LoadLabels: stored names rooms, which is no task; the '
                       'tasks are classes, normal'):
        dataset(root, {}, dict(stored=('rooms',)))
    with pytest.raises(ValueError, match="stored must be a sequence of names of tasks, got 'all'"):
        LoadLabels(stored='all')
    with pytest.raises(ValueError, match="must be 'upright', 'stored' or None, got 'exif'"):
        LoadImageFromFile(orientation='exif')
    np.save(root / 'classes/1.npy', np.zeros((9, 9), np.uint8))
    with pytest.raises(RuntimeError, match='wrong size 9 x 9; the photo is 40 x 24 as it is shown, '
                       r'24 x 40 as it is stored \(EXIF orientation 6\)'):
        dataset(root)[0]


def test_the_check_reads_as_training_does_and_counts_turned_photos(photo):
    def lines(**options):
        config = dict(type='FolderDataset', data_root=str(photo(3, stored=True)), tasks={
            'classes': TASKS['classes']}, pipeline=[READ[0] | options, READ[1]])
        report = check_configs(dict(train=config))
        return {line.what: line.found for line in report.findings}
    assert lines()['turned by EXIF'] == '1 of 1 images'
    assert 'turned by EXIF' not in lines(orientation='stored')


@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_published_sets_are_read_as_stored(orientation, pascal):
    """As the published readers do, whose labels lie so; an option turns them."""
    path = pascal / f'JPEGImages/{PERSON}.jpg'
    pixels = np.asarray(Image.open(path))
    write_photo(path, orientation, pixels, quality=100)
    results = reader(pascal)[0]
    assert results['orientation'] == 1
    assert np.abs(results['img'][..., ::-1].astype(int) - pixels).max() < 20
    config = dict(type='PASCALContext', tasks=TASKS_OF_PASCAL, data_root=str(pascal), split='train')
    for option, told in (({}, orientation != 1), (dict(orientation='upright'), False),
                         (dict(orientation='stored'), False)):
        report = check_configs(dict(train=config | dict(pipeline=[READ[0] | option, READ[1]])))
        words = f'train: 1 of 3 images ({PERSON}) are noted as turned (EXIF) and read as stored'
        assert told == any(words in one for one in report.remarks)
        assert 'differs' not in [one.verdict for one in report.findings if 'EXIF' in one.what]
    turned = reader(pascal, [READ[0] | dict(orientation='upright'), READ[1]])[0]
    assert turned['img'].shape == shown(orientation, pixels).shape
    assert turned['gt']['semseg'].shape == turned['img'].shape[:2]


@pytest.mark.parametrize('noted', [0, 9, 'x', (1, 2)])
def test_orientations_that_are_none(noted, tmp_path, monkeypatch):
    write_photo(tmp_path / 'a.png', 1)
    monkeypatch.setattr(Image.Image, 'getexif', lambda self: {274: noted})
    results = LoadImageFromFile(orientation='upright').transform(
        dict(img_path=str(tmp_path / 'a.png')))
    np.testing.assert_array_equal(results['img'][..., ::-1], PIXELS)


# ------------------------------------------------------------------ kinds of files


@pytest.fixture
def warnings():
    """The warnings of the log."""
    records = []
    handler, logger = logging.Handler(logging.WARNING), MMLogger.get_current_instance()
    handler.emit = lambda record: records.append(record.getMessage())
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


@pytest.mark.parametrize('suffix, options', [
    ('jfif', dict(format='JPEG')), ('JPE', dict(format='JPEG')), ('gif', {}), ('avif', {}),
    ('jp2', {}), ('ppm', {}), ('tga', {}), ('qoi', {})])
def test_what_pillow_reads_is_read(suffix, options, tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / f'a.{suffix}', **options)
    assert list_images(str(tmp_path)) == {'a': f'a.{suffix}'}
    (source,), _ = collect(tmp_path)
    assert np.abs(source.read()[..., ::-1].astype(int) - PIXELS).mean() < 8


HEIC = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(100)


def test_what_is_left_out_is_said(tmp_path, warnings):
    for name in ('a.png', 'b.heic', 'c.HEIC', 'd.cr2', 'notes.txt', 'Thumbs.db', 'README',
                 'LICENSE', 'DCIM0', '.hidden'):
        (tmp_path / name).touch()
    (tmp_path / 'more').mkdir()
    reads_heif.cache_clear()
    assert list(list_images(str(tmp_path))) == ['a']
    (text,) = warnings
    assert text.startswith(f'left out of the folder of images {tmp_path}: ')
    assert '2 of a type that is not read (b.heic, c.HEIC): install pillow-heif' in text
    assert '(d.cr2): save them as jpg or png if they are images; folders in it (more)' in text
    assert '1 of a type that is not read (DCIM0): their names need a suffix' in text
    assert not any(name in text for name in ('notes', 'Thumbs', 'README', 'LICENSE', 'hidden'))
    assert list_labels(str(tmp_path), ['a']) == ({'a': 'a.png'}, [])
    assert '4 files that are no .png or .npy (DCIM0, b.heic, c.HEIC, ...)' in warnings[-1]
    with pytest.raises(ValueError, match='must be .png or .npy .* DCIM0'):
        list_labels(str(tmp_path), ['a', 'DCIM0'])
    (tmp_path / 'a.png').unlink()
    with pytest.raises(FileNotFoundError, match='holds no image of .*; left out: .*2 of .*b.heic, '
                       'c.HEIC.: install pillow-heif'):
        list_images(str(tmp_path))


@pytest.mark.parametrize('suffix', ['gif', 'png', 'tif', 'webp', 'mpo', 'jpg'])
def test_of_several_frames_the_first_is_read_and_said(suffix, tmp_path, warnings, monkeypatch):
    monkeypatch.setattr('mtpsl.datasets.mended._said', set())
    pictures = [Image.fromarray(np.full((9, 8, 3), grey, np.uint8)) for grey in (20, 220)]
    several = {} if suffix == 'jpg' else dict(save_all=True, append_images=pictures[1:])
    pictures[0].save(tmp_path / f'a.{suffix}', **several)
    assert abs(int(collect(tmp_path / f'a.{suffix}')[0][0].read().max()) - 20) < 3
    found = f'a.{suffix}: it has several frames or pages, and the first is read' in str(warnings)
    assert found == (suffix not in ('mpo', 'jpg'))
    image = Image.open(tmp_path / f'a.{suffix}')
    if found:  # a frame that was chosen
        image.seek(1)
        assert abs(int(collect(image)[0][0].read().max()) - 220) < 3


def test_a_preview_is_not_taken_for_the_photo(tmp_path):
    pages = [Image.fromarray(PIXELS[:12, :20]), Image.fromarray(PIXELS)]
    pages[0].save(tmp_path / 'a.tif', save_all=True, append_images=pages[1:], tiffinfo={254: 1})
    with pytest.raises(ValueError, match='a.tif: its first picture is a preview'):
        collect(tmp_path / 'a.tif')[0][0].read()


@pytest.mark.parametrize('suffix', ['png', 'gif', 'tga'])
def test_large_images_are_read_and_too_large_ones_named(suffix, tmp_path, monkeypatch):
    """Pillow's own limit is below what satellites and scanners give."""
    Image.fromarray(PIXELS).save(tmp_path / f'a.{suffix}')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    assert collect(tmp_path / f'a.{suffix}')[0][0].read().shape == PIXELS.shape
    assert Image.MAX_IMAGE_PIXELS == 100
    monkeypatch.setattr('mtpsl.datasets.decoding.MOST_PIXELS', 900)
    with pytest.raises(ValueError, match='it has 40 x 24 pixels, more than 900'):
        decode_with_pillow((tmp_path / f'a.{suffix}').read_bytes())


def test_labels_that_nobody_reads_are_said(photo, warnings):
    root = photo(1, stored=False)
    for name in ('notes.txt', '9.mat', '8.TIF', '.hidden.mat'):
        (root / 'classes' / name).touch()
    dataset(root)
    assert len(warnings) == 1 and warnings[0].endswith(
        'classes: 2 files that are no .png or .npy (8.TIF, 9.mat)')
    (root / 'classes/seq_1').mkdir()
    (root / 'classes/seq_1/1.npy').touch()
    dataset(root)
    assert 'folders in it (seq_1); 2 files' in warnings[1]


def test_a_heic_file_is_called_so(tmp_path):
    reads_heif.cache_clear()
    for name in ('a.heic', 'a.jpg'):
        (tmp_path / name).write_bytes(HEIC)
        (source,), _ = collect(tmp_path / name)
        with pytest.raises(ValueError, match=f'{name}: it is a HEIC file: install pillow-heif'):
            source.read()


def test_with_its_package_heic_is_read(tmp_path, monkeypatch):
    package = types.ModuleType('pillow_heif')
    package.register_heif_opener = lambda: None
    monkeypatch.setitem(sys.modules, 'pillow_heif', package)
    reads_heif.cache_clear()
    (tmp_path / 'a.heic').touch()
    assert list_images(str(tmp_path)) == {'a': 'a.heic'}
    reads_heif.cache_clear()


def test_a_damaged_file_is_damaged(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / 'a.qoi')
    content = (tmp_path / 'a.qoi').read_bytes()
    (tmp_path / 'a.qoi').write_bytes(content[:len(content) // 2])
    with pytest.raises(ValueError, match='^it is damaged, or no image$'):
        decode_with_pillow((tmp_path / 'a.qoi').read_bytes())


def test_pipes_do_not_hang(photo, tmp_path):
    root = photo(1, stored=False)
    for name in ('classes/1.npy', 'images/1.png'):
        (root / name).unlink()
        os.mkfifo(root / name)
        with pytest.raises(RuntimeError, match=f'{name}: .*it is not a regular file .a pipe'):
            dataset(root)[0]
    with pytest.raises(FileNotFoundError, match='1.png is no regular file'):
        collect(root / 'images/1.png')


def test_several_files_of_one_id_are_left_out_where_errors_are_skipped(photo, warnings):
    root = photo(1, stored=False)
    write_photo(root / 'images/2.png', 1)
    write_photo(root / 'images/2.jpg', 1)
    write_photo(root / 'images/3.png', 1)
    with pytest.raises(ValueError, match=r'several images with one id .*: 2\.jpg, 2\.png$'):
        dataset(root)
    tasks = {name: TASKS[name] for name in ('classes', 'normal')}
    skipping = folder_dataset(root, tasks, split='', folders=None, on_error='skip')
    assert [skipping.get_data_info(k)['img_id'] for k in range(len(skipping))] == ['1', '3']
    assert 'several images with one id (2.jpg, 2.png)' in warnings[0]
    Image.fromarray(PIXELS[..., 0]).save(root / 'classes/1.png')
    with pytest.raises(FileNotFoundError, match='FolderDataset has no label of the task classes'):
        folder_dataset(root, dict(classes=TASKS['classes']), split='', folders=None,
                       on_error='skip')
    assert 'has two labels of one image: 1.npy, 1.png; they are left out' in warnings[-1]
    # Predictions need no label: the first of them is taken.
    sources, _ = collect(root / 'images', 'skip')
    assert [source.content.name for source in sources] == ['1.png', '2.jpg', '3.png']
    files = [root / 'images' / name for name in ('2.png', '2.jpg', '3.png')]
    sources, _ = collect(files, 'skip')
    assert [source.content.name for source in sources] == ['2.png', '3.png']
    assert "would both be called '2': the second is skipped" in warnings[-1]


def test_a_tilde_is_the_home_and_a_name_of_the_environment_its_value(photo, tmp_path, monkeypatch):
    root = photo(1, stored=False)
    (root / 'ids.txt').write_text('1\n')
    monkeypatch.setenv('HOME', str(tmp_path))
    tasks = {name: TASKS[name] for name in ('classes', 'normal')}
    again = folder_dataset('~/data', tasks, split='', folders=None, ids='~/data/ids.txt')
    assert again[0]['img'].shape == (24, 40, 3)
    monkeypatch.setenv('DATA', str(tmp_path / 'data'))
    assert len(folder_dataset('$DATA', tasks, split='', folders=None)) == 1
    for path in ('~/data/images', '~/data/images/1.png', '${DATA}/images'):
        (source,), _ = collect(path)
        assert source.read().shape == (24, 40, 3)
