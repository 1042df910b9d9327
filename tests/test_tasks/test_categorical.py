"""Cross-entropy and IoU of tasks with one class per pixel."""

import math

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from mmseg.utils import voc_palette
from torch import Tensor

from mtpsl.tasks import build_tasks
from mtpsl.tasks.categorical import CategoricalTask, bit_palette
from mtpsl.tasks.seen import Seen

COLOURS = [[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]]


def make_task(**arguments: object) -> CategoricalTask:
    task = CategoricalTask(['background', 'cat', 'dog', 'owl'], COLOURS, **arguments)
    return build_tasks(dict(things=task))['things']


def seen_in(*ids: int, labels: int = 8, published: bool = False) -> Seen:
    seen = Seen(published)
    for number in range(labels):
        seen.add(np.roll(np.array([*ids, 255], np.uint8), number)[None], 255, f'{number}.png')
    return seen


def test_classes_that_do_not_count_or_never_occur_are_told_of() -> None:
    idle = make_task(class_weight=(0, 0, 0, 1)).doubt(seen_in(0, 2))
    assert idle is not None and idle.mute and 'class_weight is 0' in idle.text
    assert make_task(class_weight=(0, 0, 1, 0)).doubt(seen_in(0, 1, 2)) is None
    many = CategoricalTask([str(number) for number in range(21)], bit_palette(21))
    for published in (False, True):  # of a published set too a config may name other classes
        doubt = many.doubt(seen_in(0, 9, published=published))
        assert doubt is not None and not doubt.mute and 'ids up to 9 only' in doubt.text
    assert many.doubt(seen_in(0, 10)) is many.doubt(seen_in(0, 9, labels=7)) is None
    assert make_task().doubt(seen_in(0, 1)) is None  # of few classes that is usual


def random_batch(classes: int = 4, size: tuple[int, int] = (6, 5),
                 seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (3, C, H, W) and labels (3, 1, H, W), a quarter of them unknown."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, classes, (3, 1, *size), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.25] = 255
    return 3 * torch.randn(3, classes, *size, generator=generator), label.to(torch.uint8)


def one_hot(classes: list[list[int]]) -> Tensor:
    """(N, 4, 1, W) probabilities that are certain of the classes."""
    return torch.eye(4)[torch.tensor(classes)].permute(0, 2, 1)[:, :, None]


def test_loss_by_hand() -> None:
    """Two known pixels: log 4 where all logits are 0, log(1 + 3 / e) where the true one is 1."""
    logits = torch.zeros(1, 4, 1, 3)
    logits[0, 2, 0, 1] = 1
    label = torch.tensor([[[[0, 2, 255]]]], dtype=torch.uint8)
    expected = (math.log(4) + math.log(1 + 3 / math.e)) / 2
    assert make_task().loss(logits, label).item() == pytest.approx(expected)


def test_loss_is_the_plain_loop() -> None:
    """Sum over the known pixels of a sample of -log p / their number."""
    logits, label = random_batch()
    expected = []
    for z, y in zip(logits.double().numpy(), label[:, 0].numpy()):
        terms = [-math.log(math.exp(z[y[i, j], i, j]) / np.exp(z[:, i, j]).sum())
                 for i, j in np.argwhere(y != 255)]
        expected.append(sum(terms) / len(terms))
    np.testing.assert_allclose(make_task().loss(logits, label).numpy(), expected, rtol=1e-5)


def test_activate_and_decode() -> None:
    logits, _ = random_batch()
    prediction = make_task().activate(logits)
    z = np.exp(logits.double().numpy())
    np.testing.assert_allclose(prediction.numpy(), z / z.sum(1, keepdims=True), rtol=1e-5)
    decoded = make_task().decode(prediction)
    assert decoded.dtype == torch.uint8
    assert np.array_equal(decoded[:, 0].numpy(), z.argmax(1))


@pytest.mark.parametrize('classes', [1, 4, 255])
def test_the_first_of_equal_classes_is_taken(classes: int) -> None:
    prediction = torch.randint(0, 3, (2, classes, 6, 5)).float()  # full of ties
    task = CategoricalTask([str(i) for i in range(classes)], [(0, 0, 0)] * classes)
    expected = prediction.numpy().argmax(1)
    assert np.array_equal(task.decode(prediction)[:, 0].numpy(), expected)
    stats = task.stats(prediction, torch.zeros(2, 1, 6, 5, dtype=torch.uint8))
    assert stats.sum(0)[:classes].tolist() == np.bincount(expected.ravel(),
                                                          minlength=classes).tolist()


def test_iou_by_hand() -> None:
    """truth 0 0 1 1 1 2 ?, prediction 0 1 1 1 2 2 3: IoU 1/2, 2/4, 1/2, the owl is nowhere."""
    truth = torch.tensor([[0, 0, 1, 1, 1, 2, 255]])[:, None, None]
    prediction = one_hot([[0, 1, 1, 1, 2, 2, 3]])
    task = make_task()
    stats = task.stats(prediction, truth)
    assert stats.view(4, 4).tolist() == [[1, 1, 0, 0], [0, 2, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert task.score(stats) == dict(mIoU=pytest.approx(50))
    assert make_task(absent_iou=0.0).score(stats) == dict(mIoU=pytest.approx(37.5))
    per_class = task.class_scores(stats)
    assert list(per_class) == ['IoU.background', 'IoU.cat', 'IoU.dog', 'IoU.owl']
    assert list(per_class.values())[:3] == [50, 50, 50] and math.isnan(per_class['IoU.owl'])


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('absent_iou', [None, 0.0])
def test_iou_is_that_of_mmseg(seed: int, absent_iou: float | None) -> None:
    logits, label = random_batch(size=(9, 7), seed=seed)
    label[label == 1], logits[:, 1] = 2, -50  # the cat is in neither truth nor prediction
    task = make_task(absent_iou=absent_iou)
    areas = [IoUMetric.intersect_and_union(z.argmax(0), y[0], 4, 255)
             for z, y in zip(logits, label)]
    expected = IoUMetric.total_area_to_metrics(
        *(sum(area) for area in zip(*areas)), nan_to_num=absent_iou)['IoU']
    stats = task.stats(task.activate(logits), label)
    assert task.score(stats)['mIoU'] == pytest.approx(100 * np.nanmean(expected), rel=1e-6)
    if absent_iou is None:
        np.testing.assert_allclose(list(task.class_scores(stats).values()), 100 * expected,
                                   rtol=1e-6)


@pytest.mark.parametrize('bad', [4, 254, 256, 1000])
def test_check(bad: int) -> None:
    task = make_task()
    task.check(np.array([[0, 1, 2, 3, 255]], np.uint8))
    with pytest.raises(ValueError, match=rf'things labels must be 0\.\.3 or 255 .*got \[{bad}\]'):
        task.check(np.array([[0, bad, 255]], np.uint16))


def test_palette_of_wrong_length() -> None:
    with pytest.raises(ValueError, match='one colour for each of the 4 classes, got 3'):
        CategoricalTask(['a', 'b', 'c', 'd'], COLOURS[:3])


def test_colours_and_legend() -> None:
    task = make_task()
    label = np.array([[[3, 0, 255, 1]]], np.uint8)
    assert task.colorize(label).tolist() == [[[0, 0, 250], [0] * 3, [255] * 3, [250, 0, 0]]]
    assert task.legend(label) == dict(cat=(250, 0, 0), owl=(0, 0, 250), unknown=(255, 255, 255))
    assert task.legend(label[..., :1]) == dict(owl=(0, 0, 250))


def test_legend_names_class_0_unless_it_is_background() -> None:
    task = CategoricalTask(['bed', 'book'], COLOURS[1:3])  # as in NYUD, where each class is a thing
    assert task.legend(np.zeros((1, 2, 2), np.uint8)) == dict(bed=(250, 0, 0))


def test_bit_palette_is_that_of_voc() -> None:
    assert bit_palette(21).tolist() == voc_palette()
    assert len({tuple(colour) for colour in bit_palette(256).tolist()}) == 256
