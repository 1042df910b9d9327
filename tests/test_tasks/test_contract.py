"""What the rest of the project asks of a task, asked of every registered one."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from torch import Tensor

from mtpsl.evaluation import MultiTaskMetric
from mtpsl.registry import TASKS
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task, build_tasks
from mtpsl.tasks.base import masked_mean
from mtpsl.tasks.depth import Depth
from mtpsl.tasks.semseg import Semseg

TASKS.import_from_location()
NAMES = sorted(TASKS.module_dict)
# Boundary matching sees a pixel's neighbours and has conventions of its own: see its own tests.
BY_PIXEL = [name for name in NAMES if not TASKS.get(name).stats_on_cpu]
SIZE = (24, 20)


@pytest.fixture(params=NAMES)
def task(request: pytest.FixtureRequest) -> Task:
    return build_tasks(dict(a_task=dict(type=request.param)))['a_task']


def make_label(task: Task, samples: int = 3, size: tuple[int, int] = SIZE, seed: int = 0) -> Tensor:
    """(N, c, H, W): class ids, unit vectors or metres; the top rows unknown in the last sample."""
    generator = torch.Generator().manual_seed(seed)
    if task.ignore_value == 255:
        label = torch.randint(0, max(task.channels, 2), (samples, 1, *size), generator=generator)
        label = label.to(torch.uint8)
    elif task.channels == 3:
        label = torch.randn(samples, 3, *size, generator=generator)
        label = torch.nn.functional.normalize(label, dim=1)
    else:
        label = 0.5 + 5 * torch.rand(samples, 1, *size, generator=generator)
    label[-1, :, :size[0] // 2] = task.ignore_value
    return label


def make_logits(task: Task, samples: int = 3, size: tuple[int, int] = SIZE,
                seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(samples, task.channels, *size, generator=generator)


def test_registered_tasks() -> None:
    assert {'Boundary', 'Depth', 'Normal', 'Parsing', 'Saliency', 'Semseg'} <= set(NAMES)


def test_attributes(task: Task) -> None:
    assert task.name == 'a_task'
    assert task.channels >= 1 and task.loss_weight >= 0
    assert isinstance(task.primary_metric, str) and isinstance(task.higher_is_better, bool)


def test_shapes(task: Task) -> None:
    logits, label = make_logits(task), make_label(task)
    prediction = task.activate(logits)
    decoded = task.decode(prediction)
    stats = task.stats(prediction, label)
    assert prediction.shape[0] == 3 and prediction.shape[2:] == SIZE
    assert decoded.shape == label.shape
    assert task.loss(logits, label).shape == (3,)
    assert task.valid(label).shape == (3, 1, *SIZE) and task.valid(label).dtype == torch.bool
    assert stats.ndim == 2 and len(stats) == 3 and stats.dtype == torch.float64
    for maps in (label, decoded):
        picture = task.colorize(maps[0].numpy())
        assert picture.shape == (*SIZE, 3) and picture.dtype == np.uint8
        for name, colour in task.legend(maps[0].numpy()).items():
            assert isinstance(name, str) and all(type(value) is int for value in colour)


def test_valid_is_not_fill(task: Task) -> None:
    label = make_label(task)
    assert task.valid(label)[:2].all()
    assert task.valid(label)[2, 0].sum(1).tolist() == [0] * 12 + [20] * 12


def test_gradient_of_the_loss(task: Task) -> None:
    """Against finite differences, in double precision, each sample's loss by itself."""
    logits = make_logits(task, 2, (3, 4)).double().requires_grad_()
    label = make_label(task, 2, (3, 4))
    assert torch.autograd.gradcheck(lambda x: task.loss(x, label), logits)


def test_a_sample_of_the_batch_is_on_its_own(task: Task) -> None:
    logits, label = make_logits(task), make_label(task)
    prediction = task.activate(logits)
    losses, stats = task.loss(logits, label), task.stats(prediction, label)
    for i in range(3):
        torch.testing.assert_close(task.loss(logits[i:i + 1], label[i:i + 1]), losses[i:i + 1])
        assert torch.equal(task.stats(prediction[i:i + 1], label[i:i + 1]), stats[i:i + 1])


def test_unknown_sample(task: Task) -> None:
    """Loss 0 with a zero gradient, and no statistics; its neighbour in the batch is untouched."""
    logits = make_logits(task, 2).requires_grad_()
    label = make_label(task, 2)
    label[1] = task.ignore_value
    losses = task.loss(logits, label)
    losses.sum().backward()
    assert losses[1] == 0 and losses[0] > 0
    assert torch.equal(logits.grad[1], torch.zeros_like(logits[1]))
    assert logits.grad[0].isfinite().all() and logits.grad[0].any()
    stats = task.stats(task.activate(logits.detach()), label)
    assert not stats[1].any() and stats[0].any()


def test_unknown_pixels_never_count(task: Task) -> None:
    logits, label = make_logits(task), make_label(task)
    other = torch.where(task.valid(label), logits, -3 * logits + 1).requires_grad_()
    assert not torch.equal(logits, other)
    losses = task.loss(other, label)
    assert torch.equal(task.loss(logits, label), losses)
    losses.sum().backward()
    known = task.valid(label).expand_as(other)
    assert not other.grad[~known].any() and other.grad[known].any()


@pytest.mark.parametrize('task', BY_PIXEL, indirect=True)
def test_unknown_pixels_leave_no_trace(task: Task) -> None:
    logits, label = make_logits(task), make_label(task)
    other = torch.where(task.valid(label), logits, -3 * logits + 1)
    assert torch.equal(task.stats(task.activate(logits), label),
                       task.stats(task.activate(other), label))


def test_score(task: Task) -> None:
    logits, label = make_logits(task), make_label(task)
    stats = task.stats(task.activate(logits), label)
    scores = task.score(stats)
    assert task.primary_metric in scores
    for value in (scores | task.class_scores(stats)).values():
        assert type(value) is float and math.isfinite(value)
    primary = task.primary_metric
    assert task.score(stats[[2, 0, 1]])[primary] == pytest.approx(scores[primary])


@pytest.mark.parametrize('task', BY_PIXEL, indirect=True)
def test_statistics_of_images_add_up_to_that_of_all_pixels(task: Task) -> None:
    label, prediction = make_label(task), task.activate(make_logits(task))
    stats = task.stats(prediction, label)
    together = task.stats(torch.cat(list(prediction), 1)[None], torch.cat(list(label), 1)[None])
    torch.testing.assert_close(stats.sum(0, keepdim=True), together)
    assert task.score(stats) == pytest.approx(task.score(together))


def test_nothing_to_measure_is_no_number(task: Task) -> None:
    """Above all not 0, which is perfect where lower is better."""
    label = torch.full_like(make_label(task), task.ignore_value)
    scores = task.score(task.stats(task.activate(make_logits(task)), label))
    assert math.isnan(scores[task.primary_metric])


def test_flip(task: Task) -> None:
    label = np.squeeze(make_label(task, 1)[0].numpy().transpose(1, 2, 0))
    assert not np.array_equal(task.flip(label), label)
    assert np.array_equal(task.flip(task.flip(label)), label)
    assert task.flip(label).dtype == label.dtype
    # Flipping moves the unknown pixels with the image.
    known = label != task.ignore_value
    assert np.array_equal(task.flip(label) != task.ignore_value, known[:, ::-1])


def test_predictions_are_mirrored_as_labels_are(task: Task) -> None:
    prediction = task.activate(make_logits(task))
    for mirrored, label in zip(task.decode(task.mirror(prediction)), task.decode(prediction)):
        flipped = task.flip(np.squeeze(label.numpy().transpose(1, 2, 0)))
        np.testing.assert_array_equal(np.squeeze(mirrored.numpy().transpose(1, 2, 0)), flipped)


def test_label_transforms_keep_type_and_unknowns(task: Task) -> None:
    label = np.squeeze(make_label(task, 1)[0].numpy().transpose(1, 2, 0))
    task.check(label)
    resized = task.resize(label, (48, 60))
    assert np.array_equal(resized, label.repeat(2, 0).repeat(3, 1))  # nearest by default
    assert task.rescale(label, 2.0).shape == label.shape
    for changed in (resized, task.rescale(label, 2.0), task.mark_ignored(label)):
        assert changed.dtype == label.dtype
    assert np.array_equal(task.rescale(label, 2.0) == task.ignore_value, label == task.ignore_value)


@pytest.mark.parametrize('weight', [-1.0, math.nan])
def test_bad_loss_weight(weight: float) -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match=f'{name}: loss_weight must be >= 0, got {weight}'):
            TASKS.build(dict(type=name, loss_weight=weight))


def test_masked_mean() -> None:
    values = torch.tensor([[[[1., 2.], [math.nan, 6.]]], [[[1., 1.], [1., 1.]]]])
    valid = torch.tensor([[[[True, True], [False, True]]], [[[False] * 2] * 2]])
    assert masked_mean(values, valid).tolist() == [3.0, 0.0]
    assert masked_mean(values[:, 0], valid).tolist() == [3.0, 0.0]


# ---------------------------------------------------------------- building


def test_build_tasks_names_in_order() -> None:
    depth = Depth()
    built = build_tasks(dict(depth=depth, scene=dict(type='Semseg', class_names=['a', 'b'],
                                                     palette=[[0, 0, 0], [1, 1, 1]])))
    assert list(built) == ['depth', 'scene'] and built['depth'] is depth
    assert [task.name for task in built.values()] == ['depth', 'scene']
    assert isinstance(built['scene'], Semseg) and built['scene'].channels == 2


def test_one_task_has_one_name() -> None:
    depth = Depth()
    assert build_tasks(dict(depth=depth)) == build_tasks(dict(depth=depth)) == dict(depth=depth)
    with pytest.raises(ValueError, match="two names, 'depth' and 'range'"):
        build_tasks(dict(range=depth))


def test_build_tasks_leaves_its_config_alone() -> None:
    config = dict(depth=dict(type='Depth'))
    assert build_tasks(config)['depth'].name == build_tasks(config)['depth'].name == 'depth'
    assert config == dict(depth=dict(type='Depth'))


@pytest.mark.parametrize(('tasks', 'error', 'message'), [
    ({}, ValueError, 'at least one task'),
    ([dict(type='Depth')], TypeError, 'must be a dict of task name .* got list'),
    (dict(depth=None), TypeError, "task 'depth' must be a dict.* got None"),
    ({'my.depth': dict(type='Depth')}, ValueError, "plain identifier .* got 'my.depth'"),
    ({1: dict(type='Depth')}, ValueError, 'plain identifier .* got 1'),
    (dict(keys=dict(type='Depth')), ValueError, "got 'keys'"),
    (dict(shape=dict(type='Depth')), ValueError, "got 'shape'"),
    (dict(depth=dict(type='Deepth')), KeyError, 'Deepth'),
    (dict(depth=dict(type='Depth', los_weight=1)), TypeError, 'los_weight'),
])
def test_build_tasks_errors(tasks: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_tasks(tasks)


# ---------------------------------------------------------------- a seventh task


class Albedo(Task):
    """Reflectance, three channels in [0, 1], by L1; unknown pixels -1."""

    channels = 3
    ignore_value = -1.0
    primary_metric = 'error'
    higher_is_better = False

    def valid(self, label: Tensor) -> Tensor:
        return (label >= 0).all(1, keepdim=True)

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return masked_mean((self.activate(logits) - label).abs(), self.valid(label)) / 3

    def activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        valid = self.valid(label)
        error = torch.where(valid, (prediction - label).abs(), 0).double()
        return torch.stack([error.mean(1).flatten(1).sum(1), valid.flatten(1).sum(1)], 1)

    def score(self, stats: Tensor) -> dict[str, float]:
        error, count = stats.sum(0).tolist()
        return {self.primary_metric: error / count}

    def colorize(self, label: np.ndarray) -> np.ndarray:
        return (255 * label.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)


@pytest.fixture
def albedo() -> Iterator[dict[str, dict]]:
    TASKS.register_module(module=Albedo)
    yield dict(depth=dict(type='Depth'), albedo=dict(type='Albedo', loss_weight=2.0))
    del TASKS.module_dict['Albedo']


def test_seventh_task_trains_and_is_scored(albedo: dict[str, dict]) -> None:
    """One class and one line of a config: loss, metric and Delta_m know it."""
    tasks = build_tasks(albedo)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 8, 8, generator=generator)
    label = dict(depth=1 + image[:, :1], albedo=image.clone())
    label['albedo'][..., 0] = -1
    heads = torch.nn.ModuleDict({name: torch.nn.Conv2d(3, task.channels, 1)
                                 for name, task in tasks.items()})
    metric = MultiTaskMetric(albedo, single_task=dict(depth=1.0, albedo=0.5), workers=0)

    def scores() -> dict[str, float]:
        with torch.no_grad():
            sample = MultiTaskSample(metainfo=dict(img_id='one'), pred=PixelData(
                **{name: task.activate(heads[name](image))[0] for name, task in tasks.items()}))
        sample.gt = PixelData(**{name: value[0] for name, value in label.items()})
        metric.process({}, [sample.to_dict()])
        return metric.evaluate(1)

    before = scores()
    optimizer = torch.optim.Adam(heads.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        sum(task.loss_weight * task.loss(heads[name](image), label[name]).mean()
            for name, task in tasks.items()).backward()
        optimizer.step()
    after = scores()
    assert set(after) == {'depth/absErr', 'depth/rmse', 'depth/absRel', 'depth/sqRel',
                          'depth/logRmse', 'albedo/error', 'delta_m'}
    assert after['albedo/error'] < 0.5 * before['albedo/error']
    assert after['delta_m'] == pytest.approx(
        -50 * ((after['depth/absErr'] - 1) / 1 + (after['albedo/error'] - 0.5) / 0.5))
