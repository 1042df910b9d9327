"""RandAugment: each operation against PIL at torchvision's published magnitudes."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from mtpsl.datasets.transforms import RandAugment, rand_augment
from mtpsl.datasets.transforms.rand_augment import OPERATIONS
from mtpsl.registry import TRANSFORMS

H, W = 40, 56
ENHANCE = dict(brightness=ImageEnhance.Brightness, color=ImageEnhance.Color,
               contrast=ImageEnhance.Contrast, sharpness=ImageEnhance.Sharpness)
# torchvision's RandAugment without the geometric ones: (PIL image, m of 0..30) -> PIL image.
PUBLISHED = dict(
    identity=lambda image, m: image,
    posterize=lambda image, m: ImageOps.posterize(image, [
        8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4,
        4][m]),
    solarize=lambda image, m: ImageOps.solarize(image, 255 - 8.5 * m),
    autocontrast=lambda image, m: ImageOps.autocontrast(image),
    equalize=lambda image, m: ImageOps.equalize(image))
# Brightness and autocontrast: the same product, cut off to an integer. The others blend with a grey
# or a smoothed image, which OpenCV rounds up to 1 differently and which weighs 0.9 at most; and the
# sum is rounded by one, cut off by the other.
TOLERANCE = dict(brightness=1, color=2, contrast=2, sharpness=2, autocontrast=1)


def images() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    rows, columns = np.indices((H, W))
    dark = generator.integers(30, 120, (H, W, 3), np.uint8)
    half_constant = dark.copy()
    half_constant[..., 1] = 77
    return dict(noise=generator.integers(0, 256, (H, W, 3), np.uint8), dark=dark,
                ramp=np.stack([rows * 6, columns * 4, rows + columns], 2).astype(np.uint8),
                half_constant=half_constant, white=np.full((H, W, 3), 255, np.uint8))


def fixed(monkeypatch, name: str, m: int, sign: int = 1) -> RandAugment:
    """A transform that draws one operation, with this magnitude and sign."""
    monkeypatch.setattr(rand_augment, 'OPERATIONS', {name: OPERATIONS[name]})
    monkeypatch.setattr(np.random, 'randint', lambda high: m)
    monkeypatch.setattr(np.random, 'rand', lambda: 0.25 if sign > 0 else 0.75)
    return RandAugment(num_ops=1, max_magnitude=30)


def by_pil(name: str, image: np.ndarray, m: int, sign: int) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))  # BGR
    if name in ENHANCE:
        changed = ENHANCE[name](picture).enhance(1 + sign * 0.9 * m / 30)
    else:
        changed = PUBLISHED[name](picture, m)
    return np.asarray(changed)[..., ::-1]


@pytest.mark.parametrize('name', [*ENHANCE, *PUBLISHED])
def test_an_operation_is_pils_at_the_published_magnitude(name, monkeypatch):
    for m in range(31):
        for sign in (-1, 1) if name in ENHANCE else (1,):
            transform = fixed(monkeypatch, name, m, sign)
            for kind, image in images().items():
                before = image.copy()
                after = transform.transform(dict(img=image))['img']
                assert after.dtype == np.uint8 and after.shape == (H, W, 3)
                np.testing.assert_array_equal(image, before)
                difference = np.abs(after.astype(int) - by_pil(name, image, m, sign))
                if name == 'sharpness':  # PIL leaves the border as it is, OpenCV mirrors there
                    difference = difference[1:-1, 1:-1]
                assert difference.max() <= TOLERANCE.get(name, 0), (kind, m, sign)


@pytest.mark.parametrize('name', [*ENHANCE, 'posterize', 'solarize'])
def test_a_larger_magnitude_changes_more(name, monkeypatch):
    """So that the tolerance of the comparison with PIL hides nothing."""
    image = images()['noise']
    for sign in (-1, 1) if name in ENHANCE else (1,):
        changes = [np.abs(fixed(monkeypatch, name, m, sign).transform(
            dict(img=image))['img'].astype(float) - image).mean() for m in (5, 15, 30)]
        assert 0.4 < changes[0] < changes[1] < changes[2] and changes[2] > 3


def test_the_sign_is_drawn_as_well(monkeypatch):
    image = images()['ramp'] // 2
    monkeypatch.setattr(rand_augment, 'OPERATIONS', dict(brightness=OPERATIONS['brightness']))
    monkeypatch.setattr(np.random, 'randint', lambda high: 15)
    np.random.seed(0)
    brighter = [RandAugment(1, 30).transform(dict(img=image))['img'].mean() > image.mean()
                for _ in range(400)]
    assert 160 < sum(brighter) < 240


# ------------------------------------------------------------------ what is drawn


def record(monkeypatch) -> list[tuple[str, float]]:
    """Operations that leave the image and note (name, magnitude as a share)."""
    calls: list[tuple[str, float]] = []
    monkeypatch.setattr(rand_augment, 'OPERATIONS', {
        name: lambda image, share, name=name: calls.append((name, share)) or image
        for name in OPERATIONS})
    return calls


def test_the_operations_are_torchvisions_that_move_no_pixel():
    assert set(OPERATIONS) == {*ENHANCE, *PUBLISHED} and len(OPERATIONS) == 9


@pytest.mark.parametrize('arguments, num_ops, largest', [
    ({}, 2, 5), (dict(num_ops=3, max_magnitude=30), 3, 30), (dict(num_ops=1, max_magnitude=0), 1,
                                                            0)])
def test_operations_and_magnitudes_are_drawn_uniformly(arguments, num_ops, largest, monkeypatch):
    calls, samples = record(monkeypatch), 1800
    np.random.seed(0)
    transform = RandAugment(**arguments)
    for _ in range(samples):
        transform.transform(dict(img=np.zeros((2, 2, 3), np.uint8)))
    assert len(calls) == num_ops * samples
    names, shares = Counter(name for name, _ in calls), Counter(share for _, share in calls)
    assert set(shares) == {m / 30 for m in range(largest + 1)}
    for counts, number in ((names, 9), (shares, largest + 1)):
        mean = len(calls) / number
        assert all(abs(count - mean) < 5 * mean ** 0.5 for count in counts.values())
    # With replacement, each with a magnitude of its own.
    pairs = list(zip(calls[::num_ops], calls[1::num_ops]))
    if num_ops > 1:
        assert 1 / 15 < np.mean([a[0] == b[0] for a, b in pairs]) < 1 / 6
        assert any(a[1] != b[1] for a, b in pairs)


def test_operations_follow_each_other(monkeypatch):
    monkeypatch.setattr(rand_augment, 'OPERATIONS', dict(add=lambda image, share: image + 1))
    after = RandAugment(num_ops=4).transform(dict(img=np.zeros((2, 2, 3), np.uint8)))
    assert (after['img'] == 4).all()


def test_one_seed_gives_one_image():
    def drawn(seed: int) -> bytes:
        np.random.seed(seed)
        return RandAugment(max_magnitude=30).transform(dict(img=images()['noise']))['img'].tobytes()

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(8)}) > 4


def test_the_image_changes_and_nothing_else():
    np.random.seed(0)
    label = images()['noise'][..., 0]
    for _ in range(20):
        results = dict(img=images()['noise'], img_shape=(H, W), gt=dict(semseg=label))
        after = RandAugment(max_magnitude=30).transform(results)
        assert set(after) == {'img', 'img_shape', 'gt'} and after['img_shape'] == (H, W)
        assert after['gt']['semseg'] is label
    np.testing.assert_array_equal(label, images()['noise'][..., 0])


def test_images_as_a_flip_and_a_crop_leave_them(monkeypatch):
    """Views into a larger array, read backwards."""
    view = images()['noise'][3:, ::-1][:, 4:]
    for name in OPERATIONS:
        transform = fixed(monkeypatch, name, 20)
        np.testing.assert_array_equal(
            transform.transform(dict(img=view))['img'],
            transform.transform(dict(img=np.ascontiguousarray(view)))['img'], err_msg=name)


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize('arguments, message', [
    (dict(num_ops=0), 'num_ops must be an integer of at least 1, got 0'),
    (dict(num_ops=1.5), 'num_ops must be an integer of at least 1, got 1.5'),
    (dict(num_ops='2'), "num_ops must be an integer of at least 1, got '2'"),
    (dict(max_magnitude=31), 'max_magnitude must be an integer from 0 to 30, got 31'),
    (dict(max_magnitude=-1), 'max_magnitude must be an integer from 0 to 30, got -1'),
    (dict(max_magnitude=0.5), 'max_magnitude must be an integer from 0 to 30, got 0.5'),
    (dict(max_magnitude=None), 'max_magnitude must be .* got None')])
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=f'^RandAugment: {message}'):
        RandAugment(**arguments)


def test_it_is_registered_and_says_what_it_is():
    assert repr(TRANSFORMS.build(dict(type='RandAugment'))) == (
        'RandAugment(num_ops=2, max_magnitude=5)')
    with pytest.raises(TypeError, match='magnitude'):
        TRANSFORMS.build(dict(type='RandAugment', magnitude=5))
