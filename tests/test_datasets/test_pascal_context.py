"""What the reader makes of each file, and which files it opens."""

import json
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from skimage.morphology import thin

from mtpsl.datasets.pascal_context import NORMAL_CLASSES, PARTS, decode_boundary

from .conftest import (
    DOG,
    EMPTY,
    IDS,
    PERSON,
    SIZE,
    TASKS,
    TEST,
    reader,
    write_mapping,
)

OPENED = []
RECORDING = [False]


def record(event, arguments):
    if RECORDING[0] and event == 'open':
        OPENED.append(str(arguments[0]))


sys.addaudithook(record)


def opened_by(function):
    OPENED.clear()
    RECORDING[0] = True
    try:
        function()
    finally:
        RECORDING[0] = False
    return list(OPENED)


# ------------------------------------------------------------------ values


def test_image_is_bgr_and_labels_are_in_the_order_of_the_tasks(pascal):
    results = reader(pascal)[0]
    assert results['img_id'] == PERSON and results['img'].dtype == np.uint8
    np.testing.assert_allclose(results['img'][20, 30], (120, 120, 100), atol=4)
    assert list(results['gt']) == ['semseg', 'parsing', 'saliency', 'normal', 'boundary']
    assert all(label.shape[:2] == SIZE for label in results['gt'].values())


def test_palette_picture_is_read_as_indices(pascal):
    semseg = reader(pascal)[0]['gt']['semseg']
    assert semseg.dtype == np.uint8
    np.testing.assert_array_equal(semseg, np.tile(np.arange(60) // 3, (40, 1)))


def test_voc12_is_preferred_over_pascal_context(pascal, label_path):
    other = pascal / 'semseg/pascal-context'
    for image_id in IDS:
        Image.fromarray(np.full(SIZE, 9, np.uint8)).save(other / f'{image_id}.png')
    label_path('semseg', DOG).unlink()
    dataset = reader(pascal)
    assert dataset[0]['gt']['semseg'].max() == 19
    assert (dataset[1]['gt']['semseg'] == 9).all()


def test_later_parts_overwrite_and_only_persons_count(pascal):
    expected = np.zeros(SIZE, np.uint8)
    expected[10:30, 10:30] = 2
    expected[15:20, 15:40] = 4
    expected[36:40, 0:4] = 6
    expected[10:12, 10:12] = 1
    np.testing.assert_array_equal(reader(pascal)[0]['gt']['parsing'], expected)


def test_part_table_has_the_24_pieces():
    assert len(PARTS) == 24
    assert [sum(part == k for part in PARTS.values()) for k in range(1, 7)] == [10, 2, 2, 4, 2, 4]
    assert (PARTS['rhand'], PARTS['ruarm'], PARTS['luleg']) == (4, 3, 5)


@pytest.mark.parametrize('index', [1, 2])
def test_image_without_person_is_background_then_ignored_whole(pascal, index):
    label = reader(pascal)[index]['gt']['parsing']
    assert label.shape == SIZE and not label.any()
    packed = reader(pascal, TEST)[index]['data_samples'].gt.parsing
    assert packed.shape == (1, *SIZE) and (packed == 255).all()


def test_saliency_is_foreground_above_half(pascal):
    np.testing.assert_array_equal(reader(pascal)[0]['gt']['saliency'],
                                  np.tile(np.arange(60) >= 30, (40, 1)))


def test_normals_are_decoded_on_the_listed_classes_and_zero_elsewhere(pascal):
    normal = reader(pascal)[0]['gt']['normal']
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal[:, :20], np.broadcast_to([1, -0.2, -1], (40, 20, 3)),
                               atol=1e-6)
    assert not normal[:, 20:].any()


def test_normal_classes_are_the_170():
    assert len(NORMAL_CLASSES) == len(set(NORMAL_CLASSES)) == 170
    assert sum(NORMAL_CLASSES) == 37556 and {3, 15, 454, 457} < set(NORMAL_CLASSES)


def test_boundary_is_the_thinned_laplacian_of_the_class_map(pascal):
    boundary = reader(pascal)[0]['gt']['boundary']
    # The Laplacian is non-zero on columns 19 and 20; thinning leaves one of the two.
    assert not boundary[:, :19].any() and not boundary[:, 21:].any()
    np.testing.assert_array_equal(boundary[1:-1, 19:21].sum(1), 1)


def test_boundary_against_scikit_image_and_a_plain_laplacian():
    rng = np.random.default_rng(0)
    classes = cv2.resize(rng.integers(0, 460, (9, 12), np.uint16), (96, 72),
                         interpolation=cv2.INTER_NEAREST)
    padded = np.pad(classes.astype(int), 1, 'reflect')
    laplacian = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
                 - 4 * padded[1:-1, 1:-1])
    boundary = decode_boundary(classes.shape, dict(LabelMap=classes))
    assert boundary.dtype == np.uint8
    np.testing.assert_array_equal(boundary, thin(np.abs(laplacian) > 0))


# ------------------------------------------------------------------ partial labels


def test_withheld_label_is_absent_and_its_file_is_never_opened(pascal, label_path):
    mapping = {PERSON: ['saliency'], DOG: ['normal', 'boundary'], EMPTY: []}
    name = write_mapping(pascal, mapping)
    for task in TASKS:
        for image_id in IDS:
            needs_mat = image_id == DOG and task == 'boundary'
            if task not in mapping[image_id] and not needs_mat:
                label_path(task, image_id).unlink()
    dataset = reader(pascal, TEST, label_mapping=name)
    for index, image_id in enumerate(IDS):
        sample = dataset[index]['data_samples']
        assert set(sample.gt.keys()) == set(mapping[image_id])


def test_only_files_of_used_labels_are_opened_and_each_once(pascal):
    name = write_mapping(pascal, {PERSON: ['saliency'], DOG: ['boundary', 'normal'], EMPTY: []})
    dataset = reader(pascal, TEST, label_mapping=name)
    expected = {
        0: [f'JPEGImages/{PERSON}.jpg', f'sal_distill/{PERSON}.png'],
        1: [f'JPEGImages/{DOG}.jpg', f'normals_distill/{DOG}.png',
            f'pascal-context/trainval/{DOG}.mat'],
        2: [f'JPEGImages/{EMPTY}.jpg']}
    for index, files in expected.items():
        opened = opened_by(lambda: dataset[index])  # noqa: B023
        assert sorted(f for f in opened if str(pascal) in f) == [str(pascal / f) for f in files]


def test_reading_leaves_the_folder_as_it_was(pascal):
    before = sorted(pascal.rglob('*'))
    [reader(pascal)[k] for k in range(3)]
    assert sorted(pascal.rglob('*')) == before


def test_tasks_of_the_mapping_that_are_not_asked_for_are_left_out(pascal):
    name = write_mapping(pascal, {PERSON: ['saliency', 'semseg'], DOG: ['normal'], EMPTY: []})
    dataset = reader(pascal, tasks=dict(semseg=TASKS['semseg']), label_mapping=name)
    assert [list(dataset[k]['gt']) for k in range(3)] == [['semseg'], [], []]


def test_absolute_mapping_path_max_images_and_metainfo(pascal, tmp_path):
    mapping = tmp_path / 'm.json'
    mapping.write_text(json.dumps({i: ['semseg'] for i in IDS}))
    dataset = reader(pascal, label_mapping=str(mapping), max_images=2)
    assert len(dataset) == 2 and list(dataset[1]['gt']) == ['semseg']
    assert dataset.metainfo['tasks'] == ('semseg', 'parsing', 'saliency', 'normal', 'boundary')
    with pytest.raises(IndexError):
        dataset[2]


# ------------------------------------------------------------------ sizes


def test_smaller_label_of_equal_proportions_is_resized(pascal, label_path):
    small = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30) % 21
    Image.fromarray(small).save(label_path('semseg', PERSON))
    semseg = reader(pascal)[0]['gt']['semseg']
    np.testing.assert_array_equal(semseg, small.repeat(2, 0).repeat(2, 1))


def test_normals_are_resized_by_cubic_interpolation_to_unit_length(pascal, label_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(label_path('normal', PERSON))
    savemat(label_path('boundary', PERSON), dict(LabelMap=np.full((20, 30), 3, np.uint16)))
    normal = reader(pascal, tasks=dict(normal=TASKS['normal']))[0]['gt']['normal']
    cubic = cv2.resize(2 * pixels.astype(np.float32) / 255 - 1, (60, 40),
                       interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(normal, cubic / np.linalg.norm(cubic, axis=2, keepdims=True),
                               atol=1e-5)


def test_a_pixel_of_rounding_is_allowed_and_two_are_not(pascal, label_path):
    for height, fits in ((21, True), (22, False)):
        Image.fromarray(np.zeros((height, 30), np.uint8)).save(label_path('saliency', PERSON))
        dataset = reader(pascal, tasks=dict(saliency=TASKS['saliency']))
        if fits:
            assert dataset[0]['gt']['saliency'].shape == SIZE
        else:
            with pytest.raises(RuntimeError, match=rf'image {PERSON}.*saliency label .*{PERSON}'
                               r'\.png: wrong size 22 x 30; the image is 40 x 60'):
                dataset[0]
