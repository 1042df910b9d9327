"""Balanced cross-entropy and maxF."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mtpsl.tasks import build_tasks
from mtpsl.tasks.saliency import Saliency


def random_batch(size: tuple[int, int] = (9, 8), seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (3, 2, H, W) that know a little, and labels (3, 1, H, W), a quarter unknown."""
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(3, 1, *size, generator=generator) < 0.3).to(torch.uint8)
    logits = torch.randn(3, 2, *size, generator=generator)
    logits[:, 1:] += 1.5 * label
    label[torch.rand(label.shape, generator=generator) < 0.25] = 255
    return logits, label


def f_measure(probability: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    found = probability > threshold
    hits = (found & (truth == 1)).sum()
    if not hits:
        return 0.0
    precision, recall = hits / found.sum(), hits / (truth == 1).sum()
    return 1.3 * precision * recall / (0.3 * precision + recall)


def test_loss_by_hand() -> None:
    """Equal logits, one pixel of four known ones salient: weights 3/4 and 1/4 of log 2."""
    logits = torch.zeros(1, 2, 1, 5)
    label = torch.tensor([[[[1, 0, 0, 0, 255]]]], dtype=torch.uint8)
    expected = math.log(2) * (3 / 4 + 3 * 1 / 4) / 4
    assert Saliency().loss(logits, label).item() == pytest.approx(expected)


def test_loss_is_the_plain_loop() -> None:
    """Each sample has weights of its own: a class weighs the share of the other class."""
    logits, label = random_batch()
    expected = []
    for z, y in zip(logits.double().numpy(), label[:, 0].numpy()):
        known = np.argwhere(y != 255)
        positive = (y == 1).sum() / len(known)
        total = 0.0
        for i, j in known:
            p = math.exp(z[1, i, j]) / (math.exp(z[0, i, j]) + math.exp(z[1, i, j]))
            total -= (1 - positive) * math.log(p) if y[i, j] else positive * math.log(1 - p)
        expected.append(total / len(known))
    assert len({round(value, 3) for value in expected}) == 3
    np.testing.assert_allclose(Saliency().loss(logits, label).numpy(), expected, rtol=1e-5)


def test_loss_of_one_class_alone_is_zero() -> None:
    logits, label = random_batch()
    for value in (0, 1):
        assert Saliency().loss(logits, torch.full_like(label, value)).tolist() == [0, 0, 0]


def test_prediction_is_the_foreground_probability() -> None:
    logits, _ = random_batch()
    z = logits.double().numpy()
    np.testing.assert_allclose(Saliency().activate(logits)[:, 0].numpy(),
                               1 / (1 + np.exp(z[:, 0] - z[:, 1])), rtol=1e-5)


def test_max_f_by_hand() -> None:
    """p .97 .6 .3 .1, truth 1 0 1 0, best below .3: P 2/3, R 1, F = 1.3 (2/3) / (.2 + 1)."""
    prediction = torch.tensor([[[[0.97, 0.6, 0.3, 0.1, 0.99]]]])
    label = torch.tensor([[[[1, 0, 1, 0, 255]]]], dtype=torch.uint8)
    # Above 0.6: P 1, R 1/2, F = 0.65 / 0.8, better than 0.7222.
    assert 1.3 * (2 / 3) / 1.2 < 0.65 / 0.8
    task = Saliency()
    assert task.score(task.stats(prediction, label)) == dict(maxF=pytest.approx(100 * 0.65 / 0.8))
    prediction[0, 0, 0, 2] = 0.65  # now both salient pixels lie above 0.6
    assert task.score(task.stats(prediction, label)) == dict(maxF=pytest.approx(100))


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('double_sigmoid', [False, True])
def test_max_f_is_the_plain_loop(seed: int, double_sigmoid: bool) -> None:
    logits, label = random_batch(size=(20, 20), seed=seed)
    task = Saliency(double_sigmoid=double_sigmoid)
    prediction = task.activate(logits)
    p, y = prediction.double().numpy(), label.numpy()
    if double_sigmoid:
        p = 1 / (1 + np.exp(-p))
    p, y = p[y != 255], y[y != 255]
    expected = max(f_measure(p, y, k / 20) for k in range(1, 20))
    assert task.score(task.stats(prediction, label))['maxF'] == pytest.approx(100 * expected)


def test_a_threshold_is_exclusive() -> None:
    """A probability of exactly 0.5 exceeds the nine thresholds below 0.5."""
    stats = Saliency().stats(torch.full((1, 1, 1, 1), 0.5), torch.ones(1, 1, 1, 1))
    assert stats.nonzero().tolist() == [[0, 20 + 9]]


def test_double_sigmoid_leaves_five_thresholds() -> None:
    """sigmoid(p) = 0.50, 0.55 .. 0.70 at p = 0, .20, .41, .62, .85; all others do nothing."""
    p = torch.linspace(0, 1, 2001)
    stats = Saliency(double_sigmoid=True).stats(p.view(-1, 1, 1, 1), torch.zeros(2001, 1, 1, 1))
    steps = stats.argmax(1).diff().nonzero().flatten()
    expected = [math.log(t / (1 - t)) for t in (0.5, 0.55, 0.6, 0.65, 0.7)]
    np.testing.assert_allclose(expected, [0, 0.20, 0.41, 0.62, 0.85], atol=0.006)
    np.testing.assert_allclose(p[steps].numpy(), expected, atol=1 / 2000)
    plain = Saliency().stats(p.view(-1, 1, 1, 1), torch.zeros(2001, 1, 1, 1))
    assert len(plain.argmax(1).unique()) == 20


def test_nothing_salient_in_truth() -> None:
    task = Saliency()
    stats = task.stats(torch.full((1, 1, 2, 2), 0.8), torch.zeros(1, 1, 2, 2))
    assert task.score(stats) == dict(maxF=0.0)


@pytest.mark.parametrize('bad', [2, 254, 256])
def test_check(bad: int) -> None:
    task = build_tasks(dict(saliency=dict(type='Saliency')))['saliency']
    task.check(np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(ValueError, match=rf'saliency labels must be 0, 1 or 255 .* \[{bad}\]'):
        task.check(np.array([[0, bad]], np.uint16))


def test_picture() -> None:
    picture = Saliency().colorize(np.array([[[0, 1, 255]]], np.uint8))
    assert picture.tolist() == [[[0] * 3, [255] * 3, [70, 90, 130]]]
    assert Saliency().colorize(np.array([[[0.2]]], np.float32)).tolist() == [[[51, 51, 51]]]
