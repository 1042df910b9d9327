"""The weighted cross-entropy, and what the task makes of the boundary protocol."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mtpsl.tasks import build_tasks
from mtpsl.tasks.boundary import Boundary


def line_map(row: int, size: tuple[int, int] = (40, 60)) -> Tensor:
    """(1, 1, H, W), 1 on a horizontal line clear of the faded border."""
    label = torch.zeros(1, 1, *size)
    label[..., row, 10:50] = 1
    return label


def random_batch(size: tuple[int, int] = (7, 6), seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and labels (3, 1, H, W), a quarter of them unknown."""
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(3, 1, *size, generator=generator) < 0.2).to(torch.uint8)
    label[torch.rand(label.shape, generator=generator) < 0.25] = 255
    return 2 * torch.randn(3, 1, *size, generator=generator), label


def test_loss_by_hand() -> None:
    """p = 1/2: log 2 weighs 0.95 on the boundary pixel and 0.05 on the three others."""
    label = torch.tensor([[[[1, 0, 0, 0, 255]]]], dtype=torch.uint8)
    loss = Boundary().loss(torch.zeros(1, 1, 1, 5), label)
    assert loss.item() == pytest.approx(math.log(2) * (0.95 + 3 * 0.05) / 4)


@pytest.mark.parametrize('w', [0.95, 0.7])
def test_loss_is_the_plain_loop(w: float) -> None:
    """Cross-entropy with pos_weight w / (1 - w), its mean over known pixels by 1 / (1 - w)."""
    logits, label = random_batch()
    expected = []
    for z, y in zip(logits[:, 0].double().numpy(), label[:, 0].numpy()):
        terms = []
        for i, j in np.argwhere(y != 255):
            p = 1 / (1 + math.exp(-z[i, j]))
            terms.append(-w / (1 - w) * math.log(p) if y[i, j] else -math.log(1 - p))
        expected.append(sum(terms) / len(terms) / (1 / (1 - w)))
    loss = Boundary(positive_weight=w).loss(logits, label)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)


def test_loss_of_confident_mistakes_is_finite() -> None:
    loss = Boundary().loss(torch.full((1, 1, 2, 2), -200.0), torch.ones(1, 1, 2, 2))
    assert loss.item() == pytest.approx(0.95 * 200)


def test_prediction_is_the_probability() -> None:
    logits, _ = random_batch()
    np.testing.assert_allclose(Boundary().activate(logits).numpy(),
                               1 / (1 + np.exp(-logits.double().numpy())), rtol=1e-5)


def test_perfect_and_empty_predictions() -> None:
    """A line of 40 pixels, found at every threshold up to its probability of 0.9, or never."""
    task, label = Boundary(), line_map(20)
    stats = task.stats(torch.cat([0.9 * label, 0 * label]), torch.cat([label, label]))
    assert stats[:, 0].tolist() == [label.numel()] * 2  # known pixels
    counts = stats[:, 1:].view(2, 101, 4)
    assert counts[0, :91].unique(dim=0).tolist() == [[40, 40, 40, 40]]
    assert counts[0, 91:].unique(dim=0).tolist() == counts[1].unique(dim=0).tolist() == [
        [0, 40, 0, 0]]
    scores = task.score(stats[:1])
    assert scores['odsF'] == scores['oisF'] == 100
    assert task.score(stats[1:])['odsF'] == 0
    # One line of two found, nothing wrong: P 1, R 1/2.
    assert task.score(stats)['odsF'] == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize(('max_dist', 'score'), [(0.0075, 0), (0.04, 0), (0.05, 100)])
def test_max_dist_is_a_share_of_the_diagonal(max_dist: float, score: float) -> None:
    """A line 3 pixels off; the diagonal is 72.1 pixels, so a share of 0.0416 reaches it."""
    task = Boundary(max_dist=max_dist)
    assert task.score(task.stats(line_map(23), line_map(20)))['odsF'] == score


def test_unknown_pixels_count_nowhere() -> None:
    """Half of the true and of a false line is unknown: 20 pixels of each are left."""
    label, prediction = line_map(20), line_map(20) + line_map(30)
    label[..., 30:] = 255
    counts = Boundary().stats(prediction, label)[:, 1:].view(101, 4)
    assert counts.unique(dim=0).tolist() == [[20, 20, 20, 40]]


@pytest.mark.parametrize('w', [0, 1, -0.5, math.nan])
def test_positive_weight_out_of_range(w: float) -> None:
    with pytest.raises(ValueError, match=rf'Boundary: positive_weight .* \(0, 1\), got {w}'):
        Boundary(positive_weight=w)


def test_check() -> None:
    task = build_tasks(dict(boundary=dict(type='Boundary')))['boundary']
    task.check(np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(ValueError, match=r'boundary labels must be 0, 1 or 255 .* \[7, 300\]'):
        task.check(np.array([[0, 7, 300]], np.int64))


@pytest.mark.parametrize('size', [(8, 10), (11, 13), (16, 10)])
@pytest.mark.parametrize('row', [6, 7])
def test_a_smaller_map_keeps_thin_lines(row: int, size: tuple[int, int]) -> None:
    label, task = np.zeros((16, 20), np.uint8), build_tasks(dict(b=dict(type='Boundary')))['b']
    label[row], label[:, row] = 1, 1
    label[-2:, -2:] = 255
    small = task.resize(label, size, task.reader_interpolation)
    expected = np.zeros(size, np.uint8)
    # Pixels in which the middle of the line lies.
    expected[int((row + 0.5) * size[0] / 16)] = 1
    expected[:, int((row + 0.5) * size[1] / 20)] = 1
    assert small.dtype == np.uint8 and (small[-1, -1], small.shape) == (255, size)
    small[small == 255] = 0
    assert (small == expected).all()
    large = task.resize(label, (32, 40), task.reader_interpolation)
    assert (large == label.repeat(2, 0).repeat(2, 1)).all()


def test_published_defaults() -> None:
    task = Boundary()
    assert (task.loss_weight, task.positive_weight, task.max_dist) == (50, 0.95, 0.0075)
    assert task.stats_on_cpu
