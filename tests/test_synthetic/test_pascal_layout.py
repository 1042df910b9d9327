"""Files decoded back with SciPy and OpenCV must equal the labels that were rendered."""
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from mtpsl.data_prep.synthetic import RenderedScene, render_scene, write_scenes
from mtpsl.data_prep.synthetic.layout import scene_seed
from mtpsl.data_prep.synthetic.pascal_layout import (
    CLASS_NAMES,
    NORMAL_IDS,
    SKY_ID,
    context_labels,
    human_parts,
)

SIZE = (48, 56)
GROUPS = {'head': 1, 'torso': 2, 'luarm': 3, 'ruarm': 3, 'llarm': 4, 'rlarm': 4, 'luleg': 5,
          'ruleg': 5, 'llleg': 6, 'rlleg': 6}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('data') / 'PASCALContext'
    assert write_scenes(path, 'pascal', 8, 4, *SIZE, seed=5, workers=1) == 12
    return path


def ids(root: Path, split: str) -> list[str]:
    return (root / 'ImageSets' / 'Context' / f'{split}.txt').read_text().split()


def scenes(root: Path) -> Iterator[tuple[str, RenderedScene]]:
    for identifier in ids(root, 'train') + ids(root, 'val'):
        yield identifier, render_scene(scene_seed(5, identifier), *SIZE)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


def test_ids(root: Path) -> None:
    train, val = ids(root, 'train'), ids(root, 'val')
    assert train[0] == 'synthetic_000001' and len(train) == 8 and len(val) == 4
    assert not set(train) & set(val)
    assert len({scene_seed(5, name) for name in train + val} | {scene_seed(6, train[0])}) == 13


def test_semseg_saliency_and_normals_come_back(root: Path) -> None:
    folders = set()
    for identifier, scene in scenes(root):
        first = root / 'semseg' / 'VOC12' / f'{identifier}.png'
        other = root / 'semseg' / 'pascal-context' / f'{identifier}.png'
        assert first.exists() != other.exists()
        folders.add(first.exists())
        semseg = cv2.imread(str(first if first.exists() else other), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(semseg, scene.semseg)
        salient = cv2.imread(str(root / 'sal_distill' / f'{identifier}.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(salient / 255 > 0.5, scene.saliency)
        assert set(np.unique(salient)) <= {0, 255}
        rgb = cv2.imread(str(root / 'normals_distill' / f'{identifier}.png'))[..., ::-1]
        decoded = 2 * (rgb / 255) - 1
        assert np.abs(decoded - scene.normal).max() <= 1 / 255 + 1e-6
    assert folders == {True, False}


def test_pictures_are_close_to_what_was_rendered(root: Path) -> None:
    for identifier, scene in scenes(root):
        image = cv2.imread(str(root / 'JPEGImages' / f'{identifier}.jpg'))[..., ::-1]
        assert image.shape == scene.image.shape
        assert np.abs(image.astype(int) - scene.image).mean() < 8


def differs_from_a_neighbour(instance: np.ndarray) -> np.ndarray:
    padded = np.pad(instance, 1, mode='reflect')
    return ((padded[1:-1, :-2] != instance) | (padded[1:-1, 2:] != instance)
            | (padded[:-2, 1:-1] != instance) | (padded[2:, 1:-1] != instance))


def test_label_map_gives_exact_boundaries_and_keeps_normals(root: Path) -> None:
    for identifier, scene in scenes(root):
        labels = loadmat(root / 'pascal-context' / 'trainval' / f'{identifier}.mat')['LabelMap']
        assert labels.dtype == np.uint16
        np.testing.assert_array_equal(cv2.Laplacian(labels, cv2.CV_64F) != 0,
                                      differs_from_a_neighbour(scene.instance))
        sky = scene.instance == 0
        np.testing.assert_array_equal(labels == SKY_ID, sky)
        assert np.isin(labels[~sky], NORMAL_IDS).all()
        pairs = np.unique(np.stack([scene.instance.ravel(), labels.ravel()]), axis=1)
        assert pairs.shape[1] == len(np.unique(scene.instance)) == len(np.unique(labels))


def test_context_ids() -> None:
    assert len(set(NORMAL_IDS)) == 170 and SKY_ID not in NORMAL_IDS
    # Stripes one pixel wide: three ids in arithmetic progression would cancel in the middle one,
    # which is all but certain to happen to some of these orders if ids are drawn only once.
    rng = np.random.default_rng(0)
    for _ in range(100):
        stripes = np.tile(rng.permutation(40).astype(np.int32) + 1, (3, 1))
        assert (cv2.Laplacian(context_labels(stripes), cv2.CV_64F) != 0).all()
    with pytest.raises(ValueError, match='170'):
        context_labels(np.arange(1, 201, dtype=np.int32).reshape(10, 20))


def test_human_parts_come_back(root: Path) -> None:
    people = 0
    categories = {}
    for split in ('train', 'val'):
        categories |= json.loads((root / 'ImageSets' / 'Parts' / f'{split}.txt').read_text())
    assert list(categories) == ids(root, 'train') + ids(root, 'val')
    for identifier, scene in scenes(root):
        anno = loadmat(root / 'human_parts' / f'{identifier}.mat')['anno']
        objects = anno[0][0][1][0]
        assert str(anno[0][0][0][0]) == identifier
        parsing, covered = np.zeros(SIZE, dtype=int), np.zeros(SIZE, dtype=int)
        for k in range(len(objects)):
            category, mask = objects[k][1][0][0], objects[k][2].astype(bool)
            assert str(objects[k][0][0]) == CLASS_NAMES[category]
            assert (scene.semseg[mask] == category).all()
            assert len(np.unique(scene.instance[mask])) == 1
            covered += mask
            assert (len(objects[k][3]) != 0) == (category == 15)
            for part in objects[k][3][0] if category == 15 else ():
                parsing[part[1].astype(bool)] = GROUPS[str(part[0][0])]
                people += 1
        np.testing.assert_array_equal(parsing, scene.parsing)
        np.testing.assert_array_equal(covered, scene.semseg > 0)
        assert categories[identifier] == [int(item[1][0, 0]) for item in objects]
    assert people > 20


def test_a_scene_without_objects_still_indexes(tmp_path: Path) -> None:
    from scipy.io import savemat

    scene = render_scene(0, 32, 32)
    blank = type(scene)(scene.image, 0 * scene.semseg, scene.instance, 0 * scene.parsing,
                        scene.saliency, scene.normal, scene.depth, scene.focal, scene.walls)
    savemat(tmp_path / 'a.mat', {'anno': human_parts('a', blank)})
    assert len(loadmat(tmp_path / 'a.mat')['anno'][0][0][1][0]) == 0


def test_same_bytes_for_any_workers_and_numbers(root: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other'
    write_scenes(other, 'pascal', 5, 2, *SIZE, seed=5, workers=2)
    first, second = contents(root), contents(other)
    shared = [name for name in second if name.endswith(('.jpg', '.png', '.mat'))]
    assert len(shared) == 7 * 6
    for name in shared:
        assert first[name] == second[name], name


def test_already_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(root)
    assert write_scenes(root, 'pascal', 8, 4, *SIZE, seed=5, workers=1) == 0
    assert 'already there' in capsys.readouterr().out
    assert contents(root) == before
