"""Labels and images that are stored as arrays."""

from pathlib import Path

import numpy as np
import pytest

from mtpsl.datasets.arrays import (
    class_map,
    normal_map,
    number_map,
    numbered_ids,
    read_image,
)
from mtpsl.datasets.transforms import LoadImageFromFile, LoadLabels
from mtpsl.tasks import build_tasks
from mtpsl.tasks.depth import Depth

SIZE = (1, 4)


@pytest.mark.parametrize('kind', [np.float32, np.float64, np.int8, np.int64])
def test_minus_one_is_unknown_in_any_type(kind: type) -> None:
    label = class_map(SIZE, np.array([[-1, 0, 12, 3]], kind))
    assert label.tolist() == [[255, 0, 12, 3]] and label.dtype == np.uint8
    assert class_map(SIZE, np.array([[[2], [-1]]], kind)).tolist() == [[2, 255]]


def test_255_is_unknown_too() -> None:
    assert class_map(SIZE, np.array([[255, 1]], np.uint8)).tolist() == [[255, 1]]


@pytest.mark.parametrize('values', [[0.5, 1], [np.nan, 1], [-2, 1], [256, 1], [np.inf, 0]])
def test_other_numbers_are_no_classes(values: list) -> None:
    with pytest.raises(ValueError, match='class ids must be whole numbers >= 0, or -1'):
        class_map(SIZE, np.array([values]))


def test_the_last_axis_of_one_goes() -> None:
    depth = np.arange(4.0).reshape(1, 4, 1)
    assert number_map(SIZE, depth).tolist() == [[0, 1, 2, 3]]
    assert number_map(SIZE, depth[..., 0]).shape == (1, 4)


@pytest.mark.parametrize('read', [class_map, number_map, normal_map])
def test_maps_hold_numbers(read: object) -> None:
    with pytest.raises(ValueError, match='a map must hold numbers, got <U1'):
        read(SIZE, np.array([['a', 'b']]))


def test_measured_values_are_no_integers() -> None:
    with pytest.raises(ValueError, match='must be floats in the unit of their task, got uint16'):
        Depth().from_array(np.array([[2500]], np.uint16))
    assert number_map(SIZE, np.array([[2]], np.uint16)).tolist() == [[2]]


def test_normals_that_are_coded_as_colours_are_refused() -> None:
    normal = np.array([[[0.6, 0, -0.8], [0, 0, 0], [0.3, 0.3, 0.3], [0, 1.009, 0]]])
    assert normal_map(SIZE, normal) is normal  # blending shortens, rounding lengthens a little
    for wrong in ((normal + 1) / 2 * 1.2, normal * 1.02, normal * 255):
        with pytest.raises(ValueError, match='normals must be unit vectors .* stored as colours'):
            normal_map(SIZE, wrong)


def test_a_map_of_short_vectors_only_is_refused() -> None:
    normal = np.array([[[0.06, 0, -0.08], [0, 0, 0]]])
    with pytest.raises(ValueError, match='got lengths up to 0.1: divide them by their length'):
        normal_map(SIZE, normal)
    assert not normal_map(SIZE, 0 * normal).any()


# ------------------------------------------------------------------ images


def test_floats_and_bytes_give_the_same_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    for number, array in enumerate((pixels, pixels / 255, (pixels / 255).astype(np.float32))):
        path = str(tmp_path / f'{number}.npy')
        np.save(path, array)
        results = LoadImageFromFile().transform(dict(img_path=path))
        np.testing.assert_array_equal(results['img'], pixels[..., ::-1])  # BGR
        assert results['img'].dtype == np.uint8 and results['img'].flags.c_contiguous
        assert results['img_shape'] == results['ori_shape'] == (6, 5)


@pytest.mark.parametrize('array, words', [
    (np.zeros((4, 4, 4)), r'must be RGB \(H, W, 3\) or grey \(H, W\), got \(4, 4, 4\)'),
    (np.zeros((3, 4, 4)), r'must be RGB \(H, W, 3\) or grey \(H, W\), got \(3, 4, 4\)'),
    (np.full((2, 2, 3), 128.0), r'must lie in \[0, 1\], got values from 128 to 128'),
    (np.full((2, 2, 3), np.nan), r'must have numbers everywhere, got NaN in 12 of its 12 values'),
    (np.zeros((2, 2, 3), np.int16), 'floats in .* or uint8, got int16')])
def test_other_arrays_are_no_images(array: np.ndarray, words: str, tmp_path: Path) -> None:
    path = tmp_path / 'a.npy'
    np.save(path, array)
    with pytest.raises(ValueError, match=words):
        read_image(str(path))
    with pytest.raises(ValueError, match=f'cannot read the image {path}: .*{words}'):
        LoadImageFromFile().transform(dict(img_path=str(path)))


@pytest.mark.parametrize('white', [None, 65535])
@pytest.mark.parametrize('shape', [(4, 5), (4, 5, 1)])
@pytest.mark.parametrize('dtype, scale', [(np.uint8, 1), (np.uint16, 257), (np.float32, 1 / 255)])
def test_grey_arrays_are_images(shape: tuple, dtype: type, scale: float, white: int | None,
                                tmp_path: Path) -> None:
    grey = np.linspace(0, 255, 20).astype(np.uint8).reshape(shape)
    np.save(tmp_path / 'a.npy', (grey * float(scale)).astype(dtype))
    image = read_image(str(tmp_path / 'a.npy'), None if dtype == np.float32 else white)
    np.testing.assert_array_equal(image, grey.reshape(4, 5, 1).repeat(3, 2))


def test_arrays_never_run_code(tmp_path: Path) -> None:
    path = tmp_path / 'a.npy'
    np.save(path, np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match='allow_pickle=False'):
        read_image(str(path))


def read_depth(path: Path) -> np.ndarray:
    results = dict(img=np.zeros((2, 3, 3), np.uint8),
                   tasks=build_tasks(dict(depth=dict(type='Depth'))),
                   labels=dict(depth=((str(path),), lambda size, scene: scene['z'])))
    return LoadLabels().transform(results)['gt']['depth']


def test_a_label_is_one_of_the_arrays_of_an_npz(tmp_path: Path) -> None:
    depth = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / 'a.npz', other=np.zeros(3), z=depth)
    np.testing.assert_array_equal(read_depth(tmp_path / 'a.npz'), depth)
    np.savez(tmp_path / 'code.npz', z=np.array([print], object))
    np.save(tmp_path / 'b.npy', depth)
    (tmp_path / 'b.npy').rename(tmp_path / 'b.npz')
    (tmp_path / 'a.npz').rename(tmp_path / 'a.h5')
    for name, words in [('code.npz', 'allow_pickle=False'), ('b.npz', 'the file holds one array'),
                        ('a.h5', r"of \.png, \.mat, \.npy, \.npz, got '\.h5'")]:
        with pytest.raises(ValueError, match=f'cannot use the depth label .*{name}: .*{words}'):
            read_depth(tmp_path / name)


def test_an_archive_is_no_image(tmp_path: Path) -> None:
    np.savez(tmp_path / 'a.npz', rgb=np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a\.npz: it is an archive.*a subclass of Load'):
        LoadImageFromFile().transform(dict(img_path=str(tmp_path / 'a.npz')))


# ------------------------------------------------------------------ ids


def test_ids_are_numbers_as_many_as_there_are_images(tmp_path: Path) -> None:
    folder = tmp_path / 'train' / 'image'
    folder.mkdir(parents=True)
    for name in (*(f'{n}.npy' for n in range(12)), '.5.0.npy', 'notes.txt'):
        (folder / name).touch()
    assert numbered_ids(str(tmp_path), '{split}/image/{id}.npy', 'train') == [
        str(n) for n in range(12)]


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder .*/val/image for the split 'val'"):
        numbered_ids(str(tmp_path), '{split}/image/{id}.npy', 'val')
    (tmp_path / 'val' / 'image').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match='val/image holds no .npy file'):
        numbered_ids(str(tmp_path), '{split}/image/{id}.npy', 'val')
