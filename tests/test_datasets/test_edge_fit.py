"""Labels that are mirrored, turned or transposed against their images."""

import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.data_prep.synthetic import render_scene
from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.edge_fit import UNDO, EdgeFit

# What is done to a label, by hand; the first ones keep the size of any image.
DONE = {
    'as they are': lambda label: label,
    'mirrored left to right': np.fliplr, 'mirrored top to bottom': np.flipud,
    'turned by 180 degrees': lambda label: np.rot90(label, 2),
    'transposed': lambda label: label.swapaxes(0, 1), 'turned left by 90 degrees': np.rot90,
    'turned right by 90 degrees': lambda label: np.rot90(label, 3),
    'transposed and turned by 180 degrees': lambda label: np.rot90(label, 2).swapaxes(0, 1)}
LABELS = dict(semseg=255, saliency=255, normal=0, depth=0)


@cache
def scenes(height: int) -> list:
    return [render_scene(seed, height, 96) for seed in range(12)]


@pytest.mark.parametrize('height', [64, 96])
@pytest.mark.parametrize('label', LABELS)
def test_each_transform_is_told_and_no_other(height: int, label: str) -> None:
    assert DONE.keys() == UNDO.keys()
    for name, done in list(DONE.items())[:None if height == 96 else 4]:
        fit = EdgeFit()
        for scene in scenes(height):
            fit.add(scene.image, done(getattr(scene, label)), LABELS[label], 'a')
        told = fit.told()
        assert told.split(' against')[0] == ('' if name == 'as they are' else name), told


@pytest.mark.parametrize('factor', [0.85, 1.15])
def test_zooms_are_no_shifts(factor: float) -> None:
    """Of round things about the centre of the label, which lies anywhere."""
    rng, fit = np.random.default_rng(0), EdgeFit()
    for number in range(24):
        image, label = np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.uint8)
        for _ in range(3):
            (x, y), radius = rng.integers(20, 76, 2), rng.integers(8, 16)
            centre = (np.float64([x, y]) - 47.5) * factor + 47.5
            cv2.circle(image, (int(x), int(y)), int(radius), (200, 90, 90), -1)
            cv2.circle(label, centre.round().astype(int).tolist(), round(radius * factor), 1, -1)
        fit.add(image, label, 255, str(number))
    assert fit.told().startswith(('larger' if factor > 1 else 'smaller') + ' than what the images')


def test_labels_without_edges_of_the_images() -> None:
    """Soft places anywhere: a question by the check, nothing before a training."""
    rng, fit = np.random.default_rng(0), EdgeFit()
    for number in range(40):
        label = np.zeros((96, 96), np.uint8)
        cv2.circle(label, rng.integers(10, 86, 2).tolist(), 9, 1, -1)
        fit.add(render_scene(number, 96, 96).image, label, 255, str(number))
    assert fit.told() == '' and 'no edges that the images have?' in fit.told(ordered=True)


def test_what_tells_nothing() -> None:
    """Too few labels; noise; labels without an edge; of two only that they are mirrored."""
    rng = np.random.default_rng(0)
    few, noise, flat, two = (EdgeFit() for _ in range(4))
    for number, scene in enumerate(scenes(96)):
        if number < 7:
            few.add(scene.image, scene.semseg[:, ::-1], 255, 'a')
        noise.add(scene.image, rng.integers(0, 2, (96, 96), np.uint8), 255, 'a')
        flat.add(scene.image, np.zeros((96, 96), np.uint8), 255, 'a')
        two.add(scene.image, scene.semseg[:, ::1 if number % 6 else -1], 255, 'a')
    assert [fit.told() for fit in (few, noise, flat, two)] == [''] * 4


@pytest.mark.parametrize('step, quarters, name', [
    (2, 1, 'turned right by 90 degrees'), (3, 3, 'turned left by 90 degrees'),
    (4, 2, 'turned by 180 degrees')])
def test_some_photos_that_lost_their_exif_are_named(step: int, quarters: int, name: str) -> None:
    """Their labels were drawn on the photos as shown, which now lie on their side or head."""
    for label in ('semseg', 'normal'):
        fit = EdgeFit()
        for number, scene in enumerate(scenes(96)):
            image = np.rot90(scene.image, quarters) if number % step == 0 else scene.image
            fit.add(np.ascontiguousarray(image), getattr(scene, label), LABELS[label], str(number))
        words, *named = re.split(r'[(),]+ ?', fit.told())[:4]
        assert re.fullmatch(rf'{name} in \d of 12 against the images ', words), fit.told()
        assert len(set(named)) == 3 and not any(int(one) % step for one in named)


def zoomed(label: np.ndarray, factor: float) -> np.ndarray:
    return cv2.warpAffine(label, cv2.getRotationMatrix2D((47.5, 47.5), 0, factor), (96, 96),
                          flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize('label', LABELS)
@pytest.mark.parametrize('degrees', [-6, 8])
def test_labels_of_a_sensor_that_is_mounted_askew(label: str, degrees: int) -> None:
    fit = EdgeFit()
    matrix = cv2.getRotationMatrix2D((47.5, 47.5), -degrees, 1)  # OpenCV turns left
    for scene in scenes(96):
        values = cv2.warpAffine(getattr(scene, label), matrix, (96, 96), flags=cv2.INTER_NEAREST,
                                borderMode=cv2.BORDER_REPLICATE)
        fit.add(scene.image, values, LABELS[label], 'a')
    word = 'right' if degrees > 0 else 'left'
    assert re.match(f'turned {word} by (4|6|9) degrees against the images', fit.told())


def test_points_of_a_lidar_have_no_edges() -> None:
    fits, rng = (EdgeFit(), EdgeFit()), np.random.default_rng(0)
    for number in range(40):
        scene = render_scene(number, 96, 96)
        points = scene.depth * (rng.random((96, 96)) < 0.05)
        fits[0].add(scene.image, points.astype(np.float32), 0, str(number))
        fits[1].add(scene.image, np.roll(scene.depth, 8, 1), 0, str(number))
    assert fits[0].told(ordered=True) == '' and fits[1].told(ordered=True)


@pytest.mark.parametrize('label', LABELS)
@pytest.mark.parametrize('ordered', [False, True])
def test_images_that_were_cut_and_labels_that_were_squeezed(label: str, ordered: bool) -> None:
    wide, high = EdgeFit(), EdgeFit()
    for scene in scenes(64):
        image, values = scene.image[:, 16:80], getattr(scene, label)
        squeezed = cv2.resize(values, (64, 64), interpolation=cv2.INTER_NEAREST)
        wide.add(image, squeezed, LABELS[label], 'a')
        high.add(image.swapaxes(0, 1).copy(), squeezed.swapaxes(0, 1), LABELS[label], 'a')
    for fit, word in ((wide, 'narrower'), (high, 'shorter')):
        told = fit.told(ordered)
        assert re.match(f'{word} than what the images show, by 0.(625|667|75) about', told), told
        assert 'squeezed to its size?' in told


@pytest.mark.parametrize('label', LABELS)
def test_labels_that_lie_elsewhere_or_are_of_other_images(label: str) -> None:
    """By 4 of 96 rows and 9 of 96 columns; zoomed; of the next scene, all or the last; shuffled."""
    found = scenes(96) + [render_scene(seed, 96, 96) for seed in range(12, 40)]
    done = dict(
        right=lambda k: get(k), moved=lambda k: np.roll(get(k), (4, -9), (0, 1)),
        large=lambda k: zoomed(get(k), 1.25), small=lambda k: zoomed(get(k), 0.8),
        last=lambda k: get(k + (k >= 25)), shuffled=lambda k: get(k + 7 + k % 3))

    def get(number: int) -> np.ndarray:
        return getattr(found[number % len(found)], label)

    told = {}
    for name, make in done.items():
        fit = EdgeFit()
        for number, scene in enumerate(found):
            fit.add(scene.image, make(number), LABELS[label], str(number))
        told[name] = fit.told(ordered=True)
    fit = EdgeFit()
    for number in range(20):  # a camera that stands still: another label is as good
        fit.add(found[0].image, getattr(found[0], label), LABELS[label], str(number))
    slow = EdgeFit()
    large, wide = (cv2.resize(one, (192, 192), interpolation=cv2.INTER_NEAREST)
                   for one in (found[0].image, getattr(found[0], label)))
    for number in range(48):  # a camera that turns slowly: the next label is nearly as good
        own, later = (np.s_[40:136, one:one + 96] for one in (number, number + 1))
        slow.add(large[own], wide[later if number >= 40 else own], LABELS[label], str(number))
    assert not slow.told(ordered=True)
    assert told['right'] == fit.told(ordered=True) == ''
    assert re.match(r'moved down by [345]% of the height and to the left by (8|9|10)% of the width '
                    'against the images, it seems', told['moved']), told
    assert told['large'].startswith('larger than what the images show, by 1.'), told
    assert told['small'].startswith('smaller than what the images show, by 0.'), told
    assert re.match(r'those of the image after theirs in \d+ of 40 \((2[4-9]|3\d), ',
                    told['last']), told
    assert told['shuffled'].startswith('those of other images, it seems'), told


@pytest.mark.parametrize('done', ['as they are', 'transposed'])
def test_the_check_names_task_and_transform(done: str, tmp_path: Path) -> None:
    for folder in ('images', 'semseg', 'depth'):
        (tmp_path / folder).mkdir()
    for number, scene in enumerate(scenes(96)):
        cv2.imwrite(str(tmp_path / f'images/{number}.png'), scene.image[..., ::-1])
        cv2.imwrite(str(tmp_path / f'semseg/{number}.png'), scene.semseg)
        np.save(tmp_path / f'depth/{number}.npy', DONE[done](scene.depth))
    report = check_configs(dict(train=dict(
        type='mtpsl.FolderDataset', data_root=str(tmp_path),
        tasks=dict(semseg=dict(type='Semseg'), depth=dict(type='Depth')))))
    told = [one for one in report.remarks if 'against the images' in one]
    assert [one.partition(' against')[0] for one in told] == (
        ['train: the depth labels that were opened are transposed'] if done == 'transposed' else [])
    assert report.sound == (done == 'as they are')


def test_objects_that_are_smoother_than_what_is_behind_them() -> None:
    """Their labels fit anything else better, and nothing well."""
    rng, fit = np.random.default_rng(0), EdgeFit()
    for number in range(24):
        image, label = rng.integers(0, 256, (96, 96, 3), np.uint8), np.zeros((96, 96), np.uint8)
        row, column = rng.integers(8, 24, 2)
        image[row:row + 30, column:column + 36] = 120
        label[row:row + 30, column:column + 36] = 1
        fit.add(image, label, 255, str(number))
    own, _, _, turned, *_ = np.mean(fit._fits, 0)
    assert turned > own + 0.05
    assert not fit.told(ordered=True)


@pytest.mark.parametrize('places', [1, 4])
def test_one_place_of_a_time_lapse_counts_once(places: int) -> None:
    """Four of 24 labels fit better turned: of one place by chance, of four by mistake."""
    found, fit = [render_scene(seed, 96, 96) for seed in range(24)], EdgeFit()
    for number, scene in enumerate(found):
        scene = found[number % places] if number < 4 else scene
        label = scene.semseg[::-1, ::-1] if number < 4 else scene.semseg
        fit.add(scene.image, label, 255, str(number))
    assert fit.told().startswith('turned by 180 degrees in 4 of 24') == (places == 4)
