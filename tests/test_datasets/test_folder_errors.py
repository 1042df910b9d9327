"""What a folder of one's own can have wrong, and what is said of it."""


import unicodedata

import numpy as np
import pytest
from PIL import Image

from .conftest import READ
from .own_data import ROWS, SIZE, TASKS, folder_dataset, labelled, palette_picture, write_own_data


@pytest.fixture
def root(tmp_path):
    """Four images; 1 has three labels, 2 has two, 10 has three and x.y has none."""
    return write_own_data(tmp_path)


@pytest.mark.parametrize('arguments, message', [
    (dict(folders=dict(normals='normals')),
     'folders names normals, which is no task; the tasks are classes, mask, normal, depth'),
    (dict(optional=['dept']), 'optional names dept, which is no task; the tasks are'),
    (dict(optional='depth'), "optional must be a sequence of task names, got 'depth'"),
    (dict(images='./depth/'), 'images and the labels of depth cannot both lie in'),
    (dict(max_images=0), 'max_images must be an integer of at least 1'),
    (dict(max_images=True), 'max_images must be an integer of at least 1'),
    (dict(label_mapping=''), 'label_mapping must name a JSON file')])
def test_wrong_arguments(root, arguments, message):
    with pytest.raises(ValueError, match=message):
        folder_dataset(root, **arguments)


def test_images_must_be_there_and_have_different_ids(root):
    with pytest.raises(FileNotFoundError, match='there is no folder of images .*/test/images'):
        folder_dataset(root, split='test')
    with pytest.raises(FileNotFoundError, match='train/images is there: is data_root or'):
        folder_dataset(root, split='train/train')
    with pytest.raises(FileNotFoundError, match='/empty holds no image of the types jpg'):
        (root / 'train/empty').mkdir()
        folder_dataset(root, images='empty')
    for name in ('1.jpeg', '2.webp'):
        (root / 'train/images' / name).touch()
    with pytest.raises(ValueError, match=r'/images has several images with one id .*: 1\.JPG, '
                       r'1\.jpeg, 2\.png, \.\.\.$'):
        folder_dataset(root)


def test_ids_without_image(root):
    (root / 'ids.txt').write_text('1.JPG\n2\n3\n')
    with pytest.raises(FileNotFoundError, match=r'2 ids of .*ids\.txt have no image in '
                       r'.*/images: 1\.JPG, 3; images there: 1\.JPG, 2\.png, 10\.npy, \.\.\. '
                       r'\(an id is the name without suffix\)$'):
        folder_dataset(root, ids='ids.txt')
    with pytest.raises(FileNotFoundError, match='there is no id list .*/data/no.txt'):
        folder_dataset(root, ids='no.txt')


def test_a_task_without_any_label_shows_names_of_both_sides(root):
    folder = root / 'train/depth'
    folder.rename(root / 'train/depths')
    images = r'images in .*/images: 1\.JPG, 2\.png, 10\.npy, \.\.\.; .*name it in optional$'
    head = '^FolderDataset train has no label of the task depth: '
    with pytest.raises(FileNotFoundError, match=head + 'there is no folder .*/train/depth. '
                       'Expected is ID.png or ID.npy for an image ID. Labels there: none; '
                       + images):
        folder_dataset(root)
    folder.mkdir()
    (folder / '.DS_Store').touch()
    with pytest.raises(FileNotFoundError, match=head + 'the folder .*/train/depth is empty'):
        folder_dataset(root)
    for k in (1, 2, 10, 11):
        (folder / f'{k}_depth.png').touch()
    with pytest.raises(FileNotFoundError, match=head + r'no file of .*/train/depth is named as an '
                       r'image\. .*Labels there: 1_depth\.png, 2_depth\.png, 10_depth\.png, '
                       r'\.\.\.; ' + images):
        folder_dataset(root)


@pytest.mark.parametrize('name, message', [
    *((name, fr'labels must be \.png or \.npy \(a \.jpg is lossy .*/train/mask has {name}$')
      for name in ('2.jpg', '2.tif')),
    ('1.npy', r'/train/mask has two labels of one image: 1\.npy, 1\.png; which one counts')])
def test_labels_of_another_type_and_two_of_one_image_are_refused(root, name, message):
    (root / 'train/mask' / name).touch()
    with pytest.raises(ValueError, match=message):
        folder_dataset(root)


def test_suffixes_may_be_in_capitals(root):
    before = folder_dataset(root)[0]['gt']['mask']
    (root / 'train/mask/1.png').rename(root / 'train/mask/1.PNG')
    np.testing.assert_array_equal(folder_dataset(root)[0]['gt']['mask'], before)


def test_label_files_of_no_image_are_counted(root):
    assert 'of no image' not in folder_dataset(root).describe()
    for name in ('77.png', '78.npy', '.79.png', 'notes.txt'):
        (root / 'train/mask' / name).touch()
    assert folder_dataset(root).describe().endswith(
        '. Label files of no image: mask 2 (77.png, 78.npy)')


def test_with_a_list_of_ids_other_labels_are_left(root):
    (root / 'ids.txt').write_text('1\n10\n')
    dataset = folder_dataset(root, dict(mask=TASKS['mask']), ids='ids.txt', folders=None)
    assert 'of no image' not in dataset.describe() and 'mask 1' in dataset.describe()


def test_folders_and_nameless_files_are_no_images_or_labels(root):
    before = labelled(folder_dataset(root))
    (root / 'train/images/png').touch()
    (root / 'train/images/folder.png').mkdir()
    (root / 'train/mask/10.png').mkdir()
    assert labelled(folder_dataset(root)) == before


@pytest.mark.parametrize('arguments, message', [
    (dict(split=None), 'split must name a folder .* got None'),
    (dict(images=3), 'images must name a folder .*KEY=."3"'),
    (dict(folders=['normal']), r"folders must be a dict .* got \['normal'\]"),
    (dict(folders=dict(normal=None)), 'folders must be a dict .* got'),
    (dict(optional=3), 'optional must be a sequence of task names, got 3')])
def test_arguments_of_another_kind(root, arguments, message):
    with pytest.raises(ValueError, match=message):
        folder_dataset(root, **arguments)


def test_measured_arrays_must_be_floats_and_normals_unit_vectors(root):
    np.save(root / 'train/depth/10.npy', np.full(SIZE, 2500, np.uint16))
    with pytest.raises(RuntimeError, match='depth label .*10.npy: measured values must be floats'):
        folder_dataset(root)[2]
    np.save(root / 'train/normals/2.npy', np.full((*SIZE, 3), 0.9))
    with pytest.raises(RuntimeError, match='normal label .*2.npy: normals must be unit vectors'):
        folder_dataset(root)[1]


def test_broken_links_are_not_passed_over(root):
    (root / 'train/mask/10.png').symlink_to('/nowhere/10.png')
    with pytest.raises(RuntimeError, match='mask label .*10.png: FileNotFoundError'):
        folder_dataset(root)[2]


def test_a_grey_picture_with_alpha(root):
    path = root / 'train/mask/1.png'
    before = folder_dataset(root)[0]['gt']['mask']
    Image.open(path).convert('LA').save(path)
    np.testing.assert_array_equal(folder_dataset(root)[0]['gt']['mask'], before)


def test_an_opaque_alpha_channel_is_dropped(root):
    path = root / 'train/normals/10.png'
    before = folder_dataset(root)[2]['gt']['normal']
    picture = Image.open(path).convert('RGBA')
    picture.save(path)
    np.testing.assert_array_equal(folder_dataset(root)[2]['gt']['normal'], before)
    picture.putalpha(128)
    picture.save(path)
    with pytest.raises(RuntimeError, match=r'must be 8-bit RGB, got uint8 of shape \(20, 30, 4\)'):
        folder_dataset(root)[2]


def test_the_pipeline_is_held_against_the_tasks_at_once(root):
    with pytest.raises(ValueError, match=r'balance_task must be None or a task with a class map '
                       r"\(classes, mask\), got 'semseg'"):
        folder_dataset(root, pipeline=[*READ, dict(type='mtpsl.RandomCrop', size=(8, 8))])


def test_a_wrong_value_is_named_with_its_file(root):
    palette_picture(ROWS % 4).save(root / 'train/classes/1.png')
    with pytest.raises(RuntimeError, match=r'^FolderDataset train, image 1: cannot use the classes '
                       r'label .*/classes/1\.png: classes labels must be 0\.\.2 .*got \[3\]'):
        folder_dataset(root)[0]


def test_a_misspelt_folder_of_an_optional_task(tmp_path):
    root = write_own_data(tmp_path)
    for name, fails in (('normls', True), ('other', False)):
        if fails:
            with pytest.raises(FileNotFoundError, match='folders.normal: .* did you mean normals'):
                folder_dataset(root, optional=('normal',), folders=dict(normal=name))
        else:
            folder_dataset(root, optional=('normal',), folders=dict(normal=name))


def test_one_name_written_in_two_ways(tmp_path):
    """As macOS (NFD) and others (NFC) write accented letters."""
    root = write_own_data(tmp_path)
    names = [unicodedata.normalize(form, 'Küche') for form in ('NFC', 'NFD')]
    train = root / 'train'
    (train / 'images/2.png').rename(train / f'images/{names[0]}.png')
    (train / 'mask/2.npy').rename(train / f'mask/{names[1]}.npy')
    (train / 'normals/2.npy').rename(train / f'normals/{names[0]}.npy')
    (root / 'ids.txt').write_text(f'{names[1]}\n1\n10\n', encoding='utf-8')
    for arguments in ({}, dict(ids='ids.txt')):
        assert labelled(folder_dataset(root, **arguments))[names[0]] == ['mask', 'normal']
    (train / f'mask/{names[0]}.npy').write_bytes((train / f'mask/{names[1]}.npy').read_bytes())
    with pytest.raises(ValueError, match='has two labels of one image'):
        folder_dataset(root)


def test_pictures_of_depth_without_a_unit_end_it_at_once(root):
    """Before a file is opened, also where unreadable ones would be left out."""
    tasks = TASKS | dict(depth=dict(type='Depth'))
    with pytest.raises(ValueError, match=r'^FolderDataset train, .*depth with .*1\.png.*: pictures '
                       r'.*png_unit of the task must be'):
        folder_dataset(root, tasks, on_error='skip')
    (root / 'train/depth/1.png').unlink()
    folder_dataset(root, tasks)
    folder_dataset(root, tasks | dict(depth=dict(type='InverseDepth')))
