"""NYUD and Cityscapes from folders written by hand."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mtpsl.datasets import NYUD, Cityscapes
from mtpsl.datasets.mended import _said
from mtpsl.datasets.published_mapping import import_published

from .conftest import READ, TEST

SIZE = (6, 8)
TASKS = {
    NYUD: dict(semseg=dict(type='Semseg', class_names=[*'abcdefghijklm']),
               depth=dict(type='Depth'), normal=dict(type='Normal')),
    Cityscapes: dict(semseg=dict(type='Semseg', class_names=[*'abcdefg']),
                     depth=dict(type='InverseDepth'))}
FOLDERS = {NYUD: dict(semseg='label', depth='depth', normal='normal'),
           Cityscapes: dict(semseg='label_7', depth='depth')}


def arrays(number: int) -> dict[str, np.ndarray]:
    """What is in the files of an image, in types that the archives are known to use."""
    r, c = np.indices(SIZE)
    semseg = ((r + c + number) % 7).astype(np.float64)
    semseg[0] = -1
    depth = (0.01 * (1 + r + c + number))[..., None].astype(np.float32)
    depth[1] = 0
    normal = np.tile([0.6, 0.0, 0.8], (*SIZE, 1))
    normal[2] = 0
    normal[3] = (0.5, -0.5, 0)
    return dict(image=np.stack([r, c, r + c], 2) / 20, semseg=semseg, depth=depth, normal=normal)


def write(root: Path, kind: type, counts: dict[str, int]) -> Path:
    for split, count in counts.items():
        for number in range(count):
            for name, values in arrays(number).items():
                folder = 'image' if name == 'image' else FOLDERS[kind].get(name)
                if folder:
                    path = root / split / folder / f'{number}.npy'
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.save(path, values)
    return root


@pytest.fixture(params=[NYUD, Cityscapes])
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


def reader(kind: type, root: Path, split: str = 'train', **arguments: object) -> object:
    return kind(tasks=arguments.pop('tasks', TASKS[kind]), data_root=str(root), split=split,
                pipeline=arguments.pop('pipeline', READ), **arguments)


def test_what_is_read(kind: type, tmp_path: Path) -> None:
    dataset = reader(kind, write(tmp_path, kind, dict(train=11, val=2)))
    assert len(dataset) == 11
    for number in (0, 3, 10):  # 10 comes after 9, not after 1
        results, stored = dataset[number], arrays(number)
        assert results['img_id'] == str(number)
        np.testing.assert_allclose(results['img'][..., ::-1] / 255, stored['image'], atol=0.002)
        semseg = results['gt']['semseg']
        assert semseg.dtype == np.uint8 and (semseg[0] == 255).all()
        np.testing.assert_array_equal(semseg[1:], stored['semseg'][1:])
        np.testing.assert_array_equal(results['gt']['depth'], stored['depth'][..., 0])
        assert list(results['gt']) == list(TASKS[kind])
        if kind is NYUD:
            np.testing.assert_allclose(results['gt']['normal'], stored['normal'], rtol=1e-6)
    assert len(reader(kind, tmp_path, 'val')) == 2


def test_unknown_pixels_reach_the_model_as_such(tmp_path: Path) -> None:
    root = write(tmp_path, NYUD, dict(train=1))
    tasks = TASKS[NYUD] | dict(normal=dict(type='Normal', zero_sum_unknown=True))
    for chosen, dropped in ((TASKS[NYUD], 0), (tasks, 8)):
        sample = reader(NYUD, root, tasks=chosen, pipeline=TEST)[0]['data_samples']
        tasks_ = reader(NYUD, root, tasks=chosen).tasks
        assert (~tasks_['normal'].valid(sample.gt.normal[None])).sum() == 8 + dropped
        assert (~tasks_['depth'].valid(sample.gt.depth[None])).sum() == 8
        assert (sample.gt.semseg == 255).sum() == 8


def test_only_what_the_mapping_names_is_opened(kind: type, tmp_path: Path) -> None:
    root = write(tmp_path, kind, dict(train=3))
    (root / 'mapping.json').write_text(json.dumps({'0': ['depth'], '1': [], '2': ['semseg']}))
    (root / 'train' / 'depth' / '2.npy').unlink()
    (root / 'train' / FOLDERS[kind]['semseg'] / '0.npy').write_text('damaged')
    dataset = reader(kind, root, label_mapping='mapping.json')
    assert [list(dataset[number]['gt']) for number in range(3)] == [['depth'], [], ['semseg']]


def test_cityscapes_labels_may_lie_in_a_folder_of_another_name(tmp_path: Path) -> None:
    root = write(tmp_path, Cityscapes, dict(train=2))
    before = reader(Cityscapes, root)[1]['gt']['semseg']
    (root / 'train' / 'label_7').rename(root / 'train' / 'label')
    np.testing.assert_array_equal(reader(Cityscapes, root)[1]['gt']['semseg'], before)
    (root / 'train' / 'label' / '1.npy').unlink()
    with pytest.raises(FileNotFoundError, match='train/label_7/1.npy or train/label/1.npy'):
        reader(Cityscapes, root)


def test_a_missing_image_or_label_is_named(kind: type, tmp_path: Path) -> None:
    root = write(tmp_path, kind, dict(train=4))
    (root / 'train' / 'depth' / '2.npy').unlink()
    with pytest.raises(FileNotFoundError, match=r'train/depth/2.npy \(depth label\)'):
        reader(kind, root)
    # With a gap in the numbers, what is missing is the one that there should be.
    (root / 'train' / 'image' / '0.npy').unlink()
    with pytest.raises(FileNotFoundError, match=r'train/image/0.npy \(image\)'):
        reader(kind, root)


@pytest.mark.parametrize('task, values, words', [
    ('semseg', np.full(SIZE, 13.0), r'semseg labels must be 0\.\..* got \[13\]'),
    ('semseg', np.full(SIZE, 0.5), 'class ids must be whole numbers'),
    ('semseg', np.zeros((*SIZE, 3)), r'a map must be \(H, W\), got'),
    ('depth', np.full((*SIZE, 1), 101.0), 'at most .*, got up to 101: is it'),
    ('depth', np.full((*SIZE, 1), np.nan), 'must be finite .* got NaN'),
    ('depth', np.full((*SIZE, 1), -np.inf), 'must be finite .* got NaN or infinity'),
    ('depth', np.full((*SIZE, 1), -1.0),
     r'must be finite and >= 0 .*; ignore=\(-1,\) of the task makes -1 unknown'),
    ('depth', np.full((3, 3, 1), 1.0), 'wrong size 3 x 3; the image is 6 x 8')])
def test_bad_labels_name_the_file(kind: type, task: str, values: np.ndarray, words: str,
                                  tmp_path: Path) -> None:
    root = write(tmp_path, kind, dict(train=1))
    path = root / 'train' / FOLDERS[kind][task] / '0.npy'
    np.save(path, values)
    with pytest.raises(RuntimeError, match=f'{kind.__name__} train, image 0: cannot use the {task} '
                       f'label {path}: .*{words}'):
        reader(kind, root)[0]


def test_how_far_is_plausible(tmp_path: Path) -> None:
    for kind, accepted, refused in ((NYUD, 60.0, 101.0), (Cityscapes, 2.0, 11.0)):
        root = write(tmp_path / kind.__name__, kind, dict(train=1))
        path = root / 'train/depth/0.npy'
        np.save(path, np.full((*SIZE, 1), accepted))
        assert reader(kind, root)[0]['gt']['depth'].max() == accepted
        np.save(path, np.full((*SIZE, 1), refused))
        with pytest.raises(RuntimeError, match=f'got up to {refused:g}: is it'):
            reader(kind, root)[0]


def test_normals_coded_as_colours_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path, NYUD, dict(train=1))
    np.save(root / 'train/normal/0.npy', np.full((*SIZE, 3), (0.5, 0.5, 1.0)))
    with pytest.raises(RuntimeError, match='must be unit vectors .* got length 1.22'):
        reader(NYUD, root)[0]


def mended(kind: type, root: Path, name: str, values: np.ndarray,
           ) -> tuple[dict, list[str]]:
    """A sample whose array ``name`` was replaced, read twice, and the warnings."""
    np.save(root / 'train' / name / '0.npy', values)
    records: list[str] = []
    handler, logger = logging.Handler(logging.WARNING), MMLogger.get_current_instance()
    handler.emit = lambda record: records.append(record.getMessage())
    logger.addHandler(handler)
    _said.clear()
    try:
        results = [reader(kind, root)[0] for _ in range(2)]
    finally:
        logger.removeHandler(handler)
    return results[1], records


def test_values_that_published_readers_let_pass_are_mended(kind: type, tmp_path: Path) -> None:
    root = write(tmp_path, kind, dict(train=1))
    stored = arrays(0)
    image = stored['image'].copy()
    image[0, 0], image[0, 1] = -0.1, 1.2
    results, (text,) = mended(kind, root, 'image', image)
    assert results['img'][0, :2].tolist() == [[0] * 3, [255] * 3]
    assert text.startswith(f'{root}/train/image/0.npy: values from -0.1 to 1.2 are clipped')
    np.save(root / 'train/image/0.npy', stored['image'])

    depth = stored['depth'].copy()
    depth[3, 4], depth[3, 5] = np.nan, np.inf
    results, (text,) = mended(kind, root, 'depth', depth)
    assert results['gt']['depth'][3, 4:6].tolist() == [0, 0]
    np.testing.assert_array_equal(results['gt']['depth'][4:], stored['depth'][4:, :, 0])
    assert f'{root}/train/depth/0.npy: 2 values that are not finite are unknown' in text


def test_normals_of_nyud_that_are_too_long_are_shortened(tmp_path: Path) -> None:
    root = write(tmp_path, NYUD, dict(train=1))
    normal = arrays(0)['normal']
    normal[4, 0], normal[4, 1] = (0.9, -0.9, 0), (np.nan, 0, 1)
    results, texts = mended(NYUD, root, 'normal', normal)
    found = results['gt']['normal']
    np.testing.assert_allclose(found[4, :2], [[0.5 ** 0.5, -0.5 ** 0.5, 0], [0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(found[3, 0], (0.5, -0.5, 0))  # shorter ones stay
    assert [f'{root}/train/normal/0.npy: ' in text for text in texts] == [True, True]
    assert 'of length up to 1.27 are shortened' in texts[1]
    np.save(root / 'train/normal/0.npy', 3 * normal)
    with pytest.raises(RuntimeError, match='must be unit vectors'):
        reader(NYUD, root)[0]


def test_an_unfinished_data_set_is_refused(kind: type, tmp_path: Path) -> None:
    root = write(tmp_path, kind, dict(train=1))
    (root / '.7.conversion.unfinished.json').touch()  # about to be written: not yet there
    reader(kind, root)
    (root / 'conversion.unfinished.json').touch()
    with pytest.raises(ValueError, match='conversion.unfinished.json marks the dataset as '
                       'not finished; run the command'):
        reader(kind, root)


def test_truncated_arrays_name_the_file(kind: type, tmp_path: Path) -> None:
    root = write(tmp_path, kind, dict(train=1))
    for name, words in (('depth', 'cannot use the depth label'),
                        ('image', 'cannot read the image')):
        path = root / 'train' / name / '0.npy'
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(RuntimeError, match=f'image 0: {words} {path}'):
            reader(kind, root)[0]


@pytest.mark.parametrize('kind_, setting', [
    (NYUD, 'nyud_onelabel'), (NYUD, 'nyud_randomlabels'), (Cityscapes, 'cityscapes_onelabel')])
def test_published_mappings_fit_the_readers(kind_: type, setting: str, published: Path) -> None:
    mapping = import_published(str(published / f'{setting}.pth'))
    assert sorted(mapping, key=int) == [str(n) for n in range(kind_.PUBLISHED['counts']['train'])]
    assert {task for names in mapping.values() for task in names} == set(kind_.LABELS)
