"""L1 and the errors in metres."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mtpsl.tasks import build_tasks
from mtpsl.tasks.depth import Depth


def random_batch(size: tuple[int, int] = (9, 8), seed: int = 0) -> tuple[Tensor, Tensor]:
    """Predictions and labels (3, 1, H, W) in metres, a quarter of the labels unknown."""
    generator = torch.Generator().manual_seed(seed)
    label = 0.5 + 9 * torch.rand(3, 1, *size, generator=generator)
    prediction = (label + torch.randn(label.shape, generator=generator)).clamp(min=0.1)
    label[torch.rand(label.shape, generator=generator) < 0.25] = 0
    return prediction, label


def row(*metres: float) -> Tensor:
    return torch.tensor(metres)[None, None, None]


def test_loss_by_hand() -> None:
    assert Depth().loss(row(1.0, 3.5, 9.0), row(2.0, 2.0, 0.0)).item() == (1 + 1.5) / 2


def test_loss_is_the_plain_loop() -> None:
    prediction, label = random_batch()
    expected = []
    for p, y in zip(prediction[:, 0].double().numpy(), label[:, 0].double().numpy()):
        known = np.argwhere(y > 0)
        expected.append(sum(abs(p[i, j] - y[i, j]) for i, j in known) / len(known))
    np.testing.assert_allclose(Depth().loss(prediction, label).numpy(), expected, rtol=1e-5)


def test_prediction_is_metres_as_they_are() -> None:
    logits = row(-1.0, 0.0, 30.0)
    assert torch.equal(Depth().activate(logits), logits)


def test_a_drawn_prediction_is_never_unknown() -> None:
    decoded = Depth().decode(row(-3.0, 0.0, 0.5))
    assert (decoded > 0).all() and decoded[..., 2] == 0.5
    assert 'unknown' not in Depth().legend(decoded[0].numpy())


def test_scores_by_hand() -> None:
    """Errors of 1 and 3 metres at 2 and 4 metres; the third pixel is unknown."""
    task = Depth()
    scores = task.score(task.stats(row(1.0, 7.0, 9.0), row(2.0, 4.0, 0.0)))
    assert scores == pytest.approx(dict(
        absErr=2, rmse=math.sqrt(5), absRel=(1 / 2 + 3 / 4) / 2, sqRel=(1 / 2 + 9 / 4) / 2,
        logRmse=math.sqrt((math.log(1 / 2)**2 + math.log(7 / 4)**2) / 2)))


@pytest.mark.parametrize('seed', range(3))
def test_scores_are_those_of_numpy(seed: int) -> None:
    prediction, label = random_batch(seed=seed)
    task = Depth()
    scores = task.score(task.stats(prediction, label))
    p, g = (x.double().numpy()[label.numpy() > 0] for x in (prediction, label))
    assert scores == pytest.approx(dict(
        absErr=np.abs(p - g).mean(), rmse=np.sqrt(((p - g)**2).mean()),
        absRel=(np.abs(p - g) / g).mean(), sqRel=((p - g)**2 / g).mean(),
        logRmse=np.sqrt((np.log(p / g)**2).mean())))


def test_logarithm_of_a_prediction_behind_the_camera() -> None:
    """It counts as a millimetre there, and as it is elsewhere."""
    task = Depth()
    scores = task.score(task.stats(row(-1.0), row(1.0)))
    assert scores['logRmse'] == pytest.approx(math.log(1000))
    assert scores['absErr'] == 2


def test_zooming_in_brings_the_scene_nearer() -> None:
    label = np.array([[4, 0, 1]], np.float32)
    scaled = Depth().rescale(label, 2.0)
    assert scaled.dtype == np.float32 and scaled.tolist() == [[2, 0, 0.5]]
    assert Depth().rescale(label, 0.5).tolist() == [[8, 0, 2]]


def test_flip_keeps_values() -> None:
    assert Depth().flip(np.float32([[1, 2, 3]])).tolist() == [[3, 2, 1]]


@pytest.mark.parametrize('bad', [-0.5, math.nan, math.inf])
def test_check(bad: float) -> None:
    task = build_tasks(dict(depth=dict(type='Depth')))['depth']
    label = np.array([[0, 3.5]], np.float32)
    task.check(label)
    label[0, 0] = bad
    with pytest.raises(ValueError, match=r'depth labels must be finite and >= 0 \(0 = unknown'):
        task.check(label)


def test_picture() -> None:
    """Nearer is brighter, 10 m and beyond are alike, the unknown pixel has a colour of its own."""
    task = Depth(max_display=10)
    metres = np.float32([[[0.1, 2, 5, 9, 10, 50, 0]]])
    picture = task.colorize(metres)[0].astype(int)
    assert (np.diff(picture[:5].sum(1)) < 0).all()
    assert picture[4].tolist() == picture[5].tolist()
    assert picture[6].tolist() == [70, 90, 130]
    legend = task.legend(metres)
    assert list(legend) == ['1 m', '5 m', '10 m', 'unknown']
    assert legend['5 m'] == tuple(picture[2]) and legend['10 m'] == tuple(picture[4])
    assert list(Depth(max_display=0.5).legend(metres[..., :5])) == ['0.05 m', '0.25 m', '0.5 m']
