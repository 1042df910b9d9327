"""What is told of images of two splits that are unlike each other."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mtpsl.datasets import FolderDataset
from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.checks.seen_photos import Photo, compare_photos, told_transparent

from .conftest import TEST


def photos(number: int = 8, size: tuple[int, int] = (40, 60), mean: tuple = (120, 110, 90),
           seed: int = 0, odd: int = 0) -> list[Photo]:
    """Noise about a mean colour; the last ``odd`` have red and blue exchanged."""
    rng = np.random.default_rng(seed)
    images = [np.clip(rng.normal(mean, 20, (*size, 3)), 0, 255).astype(np.uint8)
              for _ in range(number)]
    return [Photo.of(image[..., ::-1] if place >= number - odd else image)
            for place, image in enumerate(images)]


def grey(seeds: range, turn: int = 1) -> list[Photo]:
    return [Photo.of(np.random.default_rng(seed).integers(0, 255, (40, 60, 1), np.uint8)
                     .repeat(3, 2)[:, ::turn].copy()) for seed in seeds]


GREY = grey(range(8))
RED, BLUE, DARK = photos(), photos(odd=8), photos(mean=(24, 22, 18))

TINTED, FAINT = (photos(size=(160, 240), mean=mean) for mean in ((105, 102, 99), (99, 100, 102)))


@pytest.mark.parametrize('learned, tested, told', [
    (RED, photos(seed=1), []),
    (RED, BLUE, ['rather blue than red in evaluation and rather red than blue in training']),
    (BLUE, RED, ['rather red than blue in evaluation']),
    (RED, photos(10, odd=5), []), (photos(7), BLUE, []), (GREY, grey(range(8, 16)), []),
    (GREY, grey(range(6, 14)), ['to be training images, saved anew or mirrored, in 2 of 8 that']),
    (GREY, grey(range(7, 15), -1), ['in 1 of 8']),
    (photos(mean=(101, 100, 99)), photos(mean=(99, 100, 101)), []),
    (RED, GREY, ['grey in evaluation and coloured in training']),
    (GREY, photos(mean=(101, 100, 99)), ['are coloured in evaluation and grey in training']),
    (TINTED, FAINT, ['are rather blue than red in eval']),
    (FAINT, TINTED, ['are rather red than blue in eval']), (TINTED, photos(mean=(99, 99, 99)), []),
    (RED, DARK, ['have a mean grey of 2']), (DARK, RED, ['mean grey of 106 in evaluation and 22']),
    (RED, photos(mean=(40, 36, 30)), []),
    (RED, photos(size=(60, 40)), []), (RED, photos(size=(40, 72)), []),
    (photos(2, size=(48, 48)), photos(2, size=(40, 80)), ['are 2.00 times as long as wide in ev']),
    (RED + photos(1, size=(40, 80)), photos(size=(48, 96)), []), ([], RED, [])])
def test_what_is_told(learned: list, tested: list, told: list) -> None:
    found = list(compare_photos(learned, tested))
    assert [words in text for words, text in zip(told, found, strict=True)] == [True] * len(told)


@pytest.mark.parametrize('alpha, suffix, told', [
    (0, 'png', True), (254, 'png', True), (255, 'png', False), (None, 'png', False),
    (0, 'webp', True), (None, 'jpg', False)])
def test_transparent_images(alpha, suffix, told, tmp_path) -> None:
    paths = [str(tmp_path / f'{number}.{suffix}') for number in range(3)]
    for path in paths:
        pixels = np.full((9, 13, 3 if alpha is None else 4), 255, np.uint8)
        if alpha is not None:
            pixels[4, 4, 3] = alpha
        Image.fromarray(pixels).save(path)
    text = told_transparent([*paths, str(tmp_path / 'none.png')])
    assert told == bool(text) == ('in 3 of 4 files, such as' in text and paths[0] in text)


def test_training_and_check_tell_of_transparent_images(tmp_path, warned) -> None:
    for folder in ('images', 'saliency'):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        Image.fromarray(rng.integers(0, 255, (9, 13, 4), np.uint8)).save(
            tmp_path / f'images/{number}.png')
        Image.fromarray(rng.integers(0, 2, (9, 13), np.uint8) * 255).save(
            tmp_path / f'saliency/{number}.png')
    config = dict(data_root=str(tmp_path), tasks=dict(saliency=dict(type='Saliency')))
    look_at_labels(FolderDataset(pipeline=TEST, **config))
    assert 'images have transparent pixels in 8 of 8 files' in ' '.join(warned)
    report = check_configs(dict(train=dict(type='mtpsl.FolderDataset', **config)))
    assert any('images have transparent pixels in 10 of 10' in one for one in report.remarks)


def test_what_is_kept() -> None:
    small, image = np.zeros((9, 13, 3), np.uint8), np.zeros((260, 300, 3), np.uint8)
    small[:] = (30, 20, 10)
    assert Photo.of(small)[:2] == ((9, 13), (30, 20, 10))
    image[::4, ::4] = (30, 20, 10)  # what is looked at
    assert Photo.of(image)[:2] == ((260, 300), (30, 20, 10))
    assert Photo.of(image).contrast[:4] == pytest.approx(0, abs=1e-4) and not Photo.of(image).grey
    image[::4, ::4] = (12, 11, 10)
    assert Photo.of(image).grey


def blurred(seed: int, number: int = 10) -> list[np.ndarray]:
    """Images of contrasts from about 20 to about 50."""
    rng = np.random.default_rng(seed)
    parts = [cv2.resize(rng.random((6, 9, 3)), (90, 60), interpolation=cv2.INTER_CUBIC) - 0.5
             for _ in range(number)]
    return [np.clip(128 + part * rng.uniform(100, 240), 0, 255).astype(np.uint8) for part in parts]


def equalised(image: np.ndarray) -> np.ndarray:
    luma, *rest = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
    return cv2.cvtColor(cv2.merge((cv2.equalizeHist(luma), *rest)), cv2.COLOR_YCrCb2RGB)


def normalised(image: np.ndarray) -> np.ndarray:
    return np.clip(128 + (image - image.mean()) * (40 / image.std()), 0,
                   255).astype(np.uint8)


@pytest.mark.parametrize('change', [
    equalised, normalised, lambda image: np.dstack([*map(cv2.equalizeHist, cv2.split(image))])])
def test_what_was_equalised_in_one_part_is_told(change) -> None:
    plain, others = blurred(0), blurred(1)
    changed = [Photo.of(change(image)) for image in others]
    learned, tested = ([Photo.of(image) for image in images] for images in (plain, others))
    assert not list(compare_photos(learned, tested))
    for pair in ((learned, changed), (changed, learned)):
        assert ['of one of them equalised' in text for text in compare_photos(*pair)] == [True]
    assert not list(compare_photos([Photo.of(change(image)) for image in plain], changed))


def test_scenes_of_one_contrast_or_light_are_not_told() -> None:
    scene = cv2.resize(blurred(3, 1)[0], (240, 60))
    frames = [scene[:, 4 * number:4 * number + 90] for number in range(10)]
    redder = [np.clip(frame * (1.05, 1, 0.95), 0, 255).astype(np.uint8) for frame in frames]
    scenes, video, other = ([Photo.of(image) for image in images]
                            for images in (blurred(0), map(normalised, frames), redder))
    two = video[:5] + [Photo.of(normalised(image[:, ::-1])) for image in frames[:5]]
    for pair in ((scenes, video), (video, scenes), (video, other), (other, video), (scenes, two)):
        assert not list(compare_photos(*pair))


@pytest.mark.parametrize('scale, quality', [(1, 95), (0.5, 80), (1.7, 90)])
def test_what_was_saved_anew_is_found(scale: float, quality: int) -> None:
    rng = np.random.default_rng(0)
    learned, tested = [], []
    for _ in range(9):
        image = cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (240, 180),
                           interpolation=cv2.INTER_CUBIC)
        coded = cv2.imencode('.jpg', cv2.resize(image, None, fx=scale, fy=scale),
                             [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        learned.append(Photo.of(image))
        tested.append(Photo.of(cv2.imdecode(coded, cv2.IMREAD_COLOR)))
    assert ['in 9 of 9' in text for text in compare_photos(learned, tested)] == [True]
    assert not list(compare_photos(learned[:4], tested[5:]))
