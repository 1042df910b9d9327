"""L1 on unit vectors and angular errors."""

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from mtpsl.tasks import build_tasks
from mtpsl.tasks.normal import Normal

METRICS = ['mErr', 'rmse', 'median', 'within11.25', 'within22.5', 'within30']


def vectors(*pixels: tuple[float, float, float]) -> Tensor:
    """(1, 3, 1, W) of W vectors."""
    return torch.tensor(pixels, dtype=torch.float32).T[None, :, None]


def random_batch(size: tuple[int, int] = (9, 11), noise: float = 0.5,
                 seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits near the labels, labels (3, 3, H, W) of any length, a quarter unknown."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randn(3, 3, *size, generator=generator)
    logits = label + noise * torch.randn(3, 3, *size, generator=generator)
    unknown = torch.rand(3, 1, *size, generator=generator) < 0.25
    return logits, torch.where(unknown, 0, label)


def raw_angles(logits: Tensor, label: Tensor) -> np.ndarray:
    """(P,) degrees over the known pixels, from the inner product."""
    p, g = (x.double().numpy().transpose(0, 2, 3, 1).reshape(-1, 3) for x in (logits, label))
    p, g = p[g.any(1)], g[g.any(1)]
    cosine = (p * g).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(g, axis=1)
    return np.degrees(np.arccos(cosine.clip(-1, 1)))


def test_loss_by_hand() -> None:
    """(1,0,0) against (0,1,0) is 2, a hit is 0 whatever its length, the last is unknown."""
    logits = vectors((2, 0, 0), (0, 0, 5), (1, 2, 3))
    label = vectors((0, 1, 0), (0, 0, 1), (0, 0, 0))
    assert Normal().loss(logits, label).item() == pytest.approx(1.0)


def test_loss_is_the_plain_loop() -> None:
    """The label is taken as it is, at its own length; only the prediction is normalised."""
    logits, label = random_batch()
    expected = []
    for z, y in zip(logits.double().numpy(), label.double().numpy()):
        known = np.argwhere((y != 0).any(0))
        total = 0.0
        for i, j in known:
            length = math.sqrt(sum(z[c, i, j] ** 2 for c in range(3)))
            total += sum(abs(z[c, i, j] / length - y[c, i, j]) for c in range(3))
        expected.append(total / len(known))
    np.testing.assert_allclose(Normal().loss(logits, label).numpy(), expected, rtol=1e-5)


def test_prediction_has_unit_length() -> None:
    logits, _ = random_batch()
    prediction = Normal().activate(logits)
    np.testing.assert_allclose(prediction.norm(dim=1).numpy(), 1, rtol=1e-6)
    torch.testing.assert_close(prediction, Normal().activate(7 * logits))


def test_angles_by_hand() -> None:
    """Angles of 90, 180 and 45 degrees, then 10; and a pixel that is unknown."""
    ten = math.radians(10)
    prediction = Normal().activate(vectors(
        (1, 0, 0), (1, 0, 0), (1, 1, 0), (math.cos(ten), math.sin(ten), 0), (1, 0, 0)))
    label = vectors((0, 1, 0), (-2, 0, 0), (1, 0, 0), (3, 0, 0), (0, 0, 0))
    task = Normal()
    scores = task.score(task.stats(prediction, label))
    assert list(scores) == METRICS
    assert scores['mErr'] == pytest.approx((90 + 180 + 45 + 10) / 4, abs=1e-4)
    assert scores['rmse'] == pytest.approx(
        math.sqrt((90**2 + 180**2 + 45**2 + 10**2) / 4), abs=1e-4)
    assert scores['within11.25'] == scores['within30'] == 25


@pytest.mark.parametrize('seed', range(3))
def test_scores_are_those_of_the_raw_angles(seed: int) -> None:
    logits, label = random_batch((40, 30), seed=seed)
    task = Normal()
    scores = task.score(task.stats(task.activate(logits), label))
    angles = raw_angles(logits, label)
    assert scores['mErr'] == pytest.approx(angles.mean(), abs=1e-4)
    assert scores['rmse'] == pytest.approx(math.sqrt((angles**2).mean()), abs=1e-4)
    assert scores['median'] == pytest.approx(np.median(angles), abs=0.25)
    assert abs(scores['median'] - scores['mErr']) > 1  # so the median is not just the mean
    for limit in (11.25, 22.5, 30):
        assert scores[f'within{limit:g}'] == pytest.approx(100 * (angles < limit).mean(), abs=1e-6)


@pytest.mark.parametrize('angle', [1e-4, 0.01, 179.9999])
def test_angles_near_the_ends_are_exact(angle: float) -> None:
    """The inner product of float32 vectors would round 0.01 degree to 0 or 0.02."""
    radians = math.radians(angle)
    prediction = vectors((math.cos(radians), math.sin(radians), 0))
    task = Normal()
    mean_error = task.score(task.stats(prediction, vectors((1, 0, 0))))['mErr']
    assert mean_error == pytest.approx(angle, abs=1e-5)


def test_a_prediction_that_is_no_number_shows_in_the_score() -> None:
    task = Normal()
    prediction = task.activate(vectors((math.nan, 0, 0), (1, 0, 0)))
    assert math.isnan(task.score(task.stats(prediction, vectors((1, 0, 0), (1, 0, 0))))['mErr'])


def test_flip_turns_x_around() -> None:
    label = np.array([[[0.6, 0, 0.8], [0, 1, 0], [0, 0, 0]]], np.float32)
    flipped = Normal().flip(label)
    assert flipped.dtype == np.float32
    np.testing.assert_array_equal(flipped, np.float32([[[0, 0, 0], [0, 1, 0], [-0.6, 0, 0.8]]]))


@pytest.mark.parametrize('size', [(30, 60), (41, 77), (7, 13)])
def test_bicubic_resize_keeps_unit_length_and_unknown_pixels(size: tuple[int, int]) -> None:
    """Known on the left: no normal may appear on the right, and none there turned around."""
    label = np.zeros((10, 20, 3), np.float32)
    label[:, :10] = 0.6, 0, 0.8
    resized = Normal().resize(label, size, 'bicubic')
    assert resized.shape == (*size, 3) and resized.dtype == np.float32
    known = cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST).any(2)
    assert (resized.any(2) == known).all() and 0.4 < known.mean() < 0.6
    np.testing.assert_allclose(
        resized[known], np.broadcast_to([0.6, 0, 0.8], (known.sum(), 3)), atol=1e-6)


def test_bicubic_resize_blends_directions() -> None:
    """Half way between two normals lies their bisector, at unit length."""
    label = np.zeros((2, 2, 3), np.float32)
    label[:, 0], label[:, 1] = (1, 0, 0), (0, 1, 0)
    middle = Normal().resize(label, (3, 3), 'bicubic')[:, 1]
    np.testing.assert_allclose(middle, [[0.5**0.5, 0.5**0.5, 0]] * 3, atol=1e-6)


def test_nearest_resize_keeps_values() -> None:
    label = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    assert np.array_equal(Normal().resize(label, (8, 15)), label.repeat(2, 0).repeat(3, 1))


def test_the_vectors_lie_along_the_last_axis() -> None:
    first = np.full((3, 4, 4), 3 ** -0.5, np.float32)
    with pytest.raises(ValueError, match=r'must be \(H, W, 3\), got \(3, 4, 4\): move its first'):
        Normal().from_array(first)
    assert Normal().from_array(np.moveaxis(first, 0, 2)).shape == (4, 4, 3)


def test_check() -> None:
    task = build_tasks(dict(normal=dict(type='Normal')))['normal']
    label = np.zeros((2, 2, 3), np.float32)
    task.check(label)
    for bad in (math.nan, math.inf):
        label[0, 0, 1] = bad
        with pytest.raises(ValueError, match='normal labels must be finite vectors'):
            task.check(label)


def test_picture() -> None:
    """Red is x, green y, blue z, from -1 to 1; the unknown pixel is black."""
    label = vectors((1, 0, 0), (0, -1, 0), (0, 0, 1), (0, 0, 0))[0].numpy()
    assert Normal().colorize(label).tolist() == [
        [[255, 128, 128], [128, 0, 128], [128, 128, 255], [0, 0, 0]]]
    legend = Normal().legend(label)
    assert legend == {'+x': (255, 128, 128), '+y': (128, 255, 128), '+z': (128, 128, 255),
                      'unknown': (0, 0, 0)}
    assert 'unknown' not in Normal().legend(label[..., :3])


def test_published_readers_drop_normals_that_sum_to_zero() -> None:
    label = np.array([[[0.6, 0, 0.8], [0.5, -0.5, 0], [0, 0, 0], [-0.5, 0.25, 0.25],
                       [0, -0.6, -0.8]]], np.float32)
    assert Normal().mark_ignored(label) is label
    parity = Normal(zero_sum_unknown=True).mark_ignored(label)
    assert parity[0].any(1).tolist() == [True, False, False, False, True]
    np.testing.assert_array_equal(parity[0, 0], label[0, 0])
    assert parity.dtype == np.float32


def test_labels_must_be_unit_vectors() -> None:
    Normal().check(np.array([[[1.0, 0, 0], [0, 0, 0], [-1.004, 0, 0]]]))
    with pytest.raises(ValueError, match=r'unit vectors \(zero = unknown\), got components from 0'):
        Normal().check(np.array([[[127.0, 0, 255]]]))
