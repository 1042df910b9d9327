"""The evaluator of all tasks, fed as mmengine feeds it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from torch import Tensor

from mtpsl.evaluation import MultiTaskMetric, delta_m
from mtpsl.evaluation.score_names import tiny_scores
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task, build_tasks
from mtpsl.tasks.depth import Depth

CONFIG = dict(
    semseg=dict(type='Semseg', class_names=['background', 'cat', 'dog']),
    parsing=dict(type='Parsing'), saliency=dict(type='Saliency'), normal=dict(type='Normal'),
    boundary=dict(type='Boundary', max_dist=0.05), depth=dict(type='Depth'))
TASKS = build_tasks(CONFIG)
HEADLINES = ['semseg/mIoU', 'parsing/mIoU', 'saliency/maxF', 'normal/mErr', 'boundary/odsF',
             'depth/absErr']
SINGLE = dict(semseg=50.0, parsing=40.0, saliency=60.0, normal=20.0, boundary=50.0, depth=1.0)
SIZE = (18, 20)


def make_label(task: Task, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    if task.ignore_value == 255:
        label = torch.randint(0, max(task.channels, 2), (1, *size), generator=generator)
        label = label.to(torch.uint8)
    else:
        label = 0.5 + torch.rand(task.channels, *size, generator=generator)
        label = torch.nn.functional.normalize(label, dim=0) if task.channels == 3 else label
    label[:, :4] = task.ignore_value
    return label


def make_predictions(generator: torch.Generator, size: tuple[int, int]) -> PixelData:
    return PixelData(**{name: task.activate(
        torch.randn(1, task.channels, *size, generator=generator))[0]
        for name, task in TASKS.items()})


def make_sample(number: int, labelled: Sequence[str] = tuple(CONFIG), initial: bool = True,
                size: tuple[int, int] = SIZE) -> MultiTaskSample:
    generator = torch.Generator().manual_seed(number)
    sample = MultiTaskSample(metainfo=dict(img_id=f'image{number}'))
    sample.gt = PixelData(**{name: make_label(TASKS[name], generator, size) for name in labelled})
    sample.pred = make_predictions(generator, size)
    if initial:
        sample.initial = make_predictions(generator, size)
    return sample


def evaluate(samples: list[MultiTaskSample], **arguments: object) -> dict[str, float]:
    metric = MultiTaskMetric(CONFIG, **dict(workers=0) | arguments)
    for sample in samples:
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(len(samples))


@pytest.fixture(scope='module')
def samples() -> list[MultiTaskSample]:
    """Four images of two sizes; two of them are labelled in part, one of these for nothing."""
    return [make_sample(0), make_sample(1, ['semseg', 'depth']), make_sample(2, []),
            make_sample(3, size=(16, 24))]


@pytest.fixture(scope='module')
def scores(samples: list[MultiTaskSample]) -> dict[str, float]:
    return evaluate(samples, single_task=SINGLE)


def test_names(scores: dict[str, float]) -> None:
    primary_metrics = [*HEADLINES, 'delta_m']
    assert set(primary_metrics) | {f'initial/{name}' for name in primary_metrics} <= set(scores)
    assert {name for name in scores if not name.startswith('initial/')} == {
        name.removeprefix('initial/') for name in scores if name.startswith('initial/')}
    assert not [name for name in scores if 'IoU.' in name]
    assert all(type(value) is float and math.isfinite(value) for value in scores.values())


def test_figures_are_those_of_all_labelled_images_together(
        samples: list[MultiTaskSample], scores: dict[str, float]) -> None:
    """Of each task's own score, on the images labelled for it, of each field."""
    for field, prefix in (('pred', ''), ('initial', 'initial/')):
        for name, task in TASKS.items():
            stats = torch.cat([
                task.stats(getattr(getattr(sample, field), name)[None],
                           getattr(sample.gt, name)[None])
                for sample in samples if name in sample.gt])
            assert len(stats) == (3 if name in ('semseg', 'depth') else 2)
            for key, value in task.score(stats).items():
                assert scores[f'{prefix}{name}/{key}'] == value
        primary_metrics = {name.split('/')[0]: scores[prefix + name] for name in HEADLINES}
        assert scores[f'{prefix}delta_m'] == delta_m(primary_metrics, SINGLE, TASKS)
    assert scores['depth/absErr'] != scores['initial/depth/absErr']


def test_depth_by_hand() -> None:
    """Four images with errors of 1, 2, 3, 4 metres on 1, 1, 1, 5 known pixels."""
    samples = []
    for number, known in enumerate((1, 1, 1, 5), start=1):
        label = torch.zeros(1, 2, 4)
        label.view(-1)[:known] = 3.0
        samples.append(MultiTaskSample(
            metainfo=dict(img_id=number), gt=PixelData(depth=label),
            pred=PixelData(depth=torch.full((1, 2, 4), 3.0 + number))))
    metric = MultiTaskMetric(dict(depth=dict(type='Depth')), workers=0)
    metric.process({}, [sample.to_dict() for sample in samples])
    assert metric.evaluate(4)['depth/absErr'] == pytest.approx((1 + 2 + 3 + 5 * 4) / 8)


def test_order_of_the_images_is_irrelevant_to_the_last_digit(
        samples: list[MultiTaskSample], scores: dict[str, float]) -> None:
    for order in ((3, 2, 1, 0), (2, 0, 3, 1)):
        assert evaluate([samples[i] for i in order], single_task=SINGLE) == scores


def test_an_image_dealt_twice_counts_once(samples: list[MultiTaskSample],
                                          scores: dict[str, float]) -> None:
    assert evaluate([samples[3], *samples, samples[0]], single_task=SINGLE) == scores


def test_unknown_pixels_and_padding_never_count(samples: list[MultiTaskSample]) -> None:
    tasks = {name: CONFIG[name] for name in CONFIG if name != 'boundary'}
    results = []
    for damage in (0, 7):
        metric = MultiTaskMetric(tasks, workers=0)
        for sample in (samples[0], samples[3]):
            changed = sample.clone()
            for name in tasks:
                prediction = getattr(changed.pred, name).clone()
                prediction[:, :4] = prediction[:, :4].roll(damage, 2).flip(0)
                changed.pred.set_data({name: prediction})
            metric.process({}, [changed.to_dict()])
        results.append(metric.evaluate(2))
    assert results[0] == results[1]


def test_worker_process_gives_the_same(samples: list[MultiTaskSample],
                                       scores: dict[str, float]) -> None:
    assert evaluate(samples, single_task=SINGLE, workers=1) == scores


def test_per_class(samples: list[MultiTaskSample], scores: dict[str, float]) -> None:
    detailed = evaluate(samples, single_task=SINGLE, per_class=True)
    added = {name: detailed[name] for name in detailed if name not in scores}
    assert [name for name in added if name.startswith('semseg')] == [
        'semseg/IoU.background', 'semseg/IoU.cat', 'semseg/IoU.dog']
    assert len(added) == 3 + 7  # final predictions only
    semseg = [value for name, value in added.items() if name.startswith('semseg')]
    assert np.mean(semseg) == pytest.approx(scores['semseg/mIoU'])
    assert {name: detailed[name] for name in scores} == scores


def test_model_without_initial_predictions() -> None:
    scores = evaluate([make_sample(5, initial=False)], single_task=SINGLE)
    assert not [name for name in scores if name.startswith('initial')]
    assert 'delta_m' in scores


def test_no_delta_m_unless_every_task_is_scored() -> None:
    labelled = ['semseg', 'depth']
    scores = evaluate([make_sample(6, labelled)], single_task=SINGLE)
    assert {name.removeprefix('initial/').split('/')[0] for name in scores} == set(labelled)
    assert 'delta_m' not in evaluate([make_sample(7)])


def test_single_task_figures_are_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / 'metrics.json'
    path.write_text(json.dumps({'depth/absErr': 0.5}))
    metric = MultiTaskMetric(CONFIG, single_task=SINGLE | dict(depth=str(path)))
    assert metric.single_task == {'': SINGLE | dict(depth=0.5)}
    with pytest.raises(ValueError, match=r"single_task .* missing: \['parsing', 'saliency'"):
        MultiTaskMetric(CONFIG, single_task=dict(semseg=50.0))
    with pytest.raises(ValueError, match='single_task names .*sky'):
        MultiTaskMetric(CONFIG, single_task=SINGLE | dict(sky=1.0))


def test_each_set_is_scored_as_if_alone() -> None:
    """Figures of a set, and Delta_m over the tasks of all sets, worked out here."""
    labelled = dict(rooms=['depth', 'semseg'], scenes=['semseg', 'saliency'])
    single = dict(rooms=dict(depth=1.5, semseg=20.0), scenes=dict(semseg=30.0, saliency=40.0))
    alone = {name: [make_sample(10 * place + number, tasks) for number in range(2)]
             for place, (name, tasks) in enumerate(labelled.items(), start=2)}
    for name, part in alone.items():
        for number, sample in enumerate(part):
            sample.set_metainfo(dict(img_id=f'{name}/{number}', dataset=name))
    together = [sample for pair in zip(*alone.values()) for sample in pair]
    found = evaluate(together, single_task=single, per_class=True)
    for name, part in alone.items():
        for sample in part:
            sample.set_metainfo(dict(dataset=''))
        own = evaluate(part, per_class=True)
        assert own and own == {key.removeprefix(f'{name}/'): value for key, value in found.items()
                               if key.startswith(f'{name}/') and 'delta_m' not in key}
    rooms = [(1.5 - found['rooms/depth/absErr']) / 1.5,
             (found['rooms/semseg/mIoU'] - 20) / 20]
    scenes = [(found['scenes/semseg/mIoU'] - 30) / 30, (found['scenes/saliency/maxF'] - 40) / 40]
    assert found['rooms/delta_m'] == pytest.approx(50 * sum(rooms))
    assert found['delta_m'] == pytest.approx(25 * sum(rooms + scenes))
    assert found['initial/delta_m'] != found['delta_m']
    assert found['rooms/initial/delta_m'] != found['rooms/delta_m']


def test_a_set_without_truth_of_a_task_has_no_delta_m() -> None:
    sample = make_sample(6, ['depth'])
    sample.set_metainfo(dict(dataset='rooms'))
    found = evaluate([sample], single_task=dict(rooms=dict(depth=1.0, semseg=20.0)))
    assert 'rooms/depth/absErr' in found and not any('delta_m' in key for key in found)
    with pytest.raises(ValueError, match='single_task must hold figures, or a dict'):
        MultiTaskMetric(CONFIG, single_task=dict(depth=1.0, rooms=dict(depth=1.0)))


def test_sets_without_figures_of_single_tasks_are_told(warned: list[str]) -> None:
    samples = [make_sample(6, ['depth', 'semseg']), make_sample(7, ['depth'])]
    for sample, name in zip(samples, ('rooms', 'scenes')):
        sample.set_metainfo(dict(dataset=name))
    found = evaluate(samples, single_task=dict(rooms=dict(depth=1.0)))
    assert found['delta_m'] == found['rooms/delta_m']
    assert warned == ['single_task has no figure for semseg of rooms, depth of scenes: delta_m is '
                      'of the others alone']


def test_through_mmengines_evaluator(samples: list[MultiTaskSample],
                                     scores: dict[str, float]) -> None:
    """Built from a config, two batches, evaluated twice: nothing is left over of the first time."""
    evaluator = Evaluator(dict(type='mtpsl.MultiTaskMetric', tasks=CONFIG, single_task=SINGLE,
                               workers=0))
    for _ in range(2):
        evaluator.process(samples[:3], {})
        evaluator.process(samples[3:], {})
        assert evaluator.evaluate(4) == scores


def test_slow_tasks_can_be_left_to_the_test(samples) -> None:
    every = evaluate(samples, single_task=SINGLE)
    quick = evaluate(samples, single_task=SINGLE, slow_tasks=False)
    assert all('boundary/' in key or 'delta_m' in key for key in set(every) - set(quick))
    assert not any('boundary/' in key or 'delta_m' in key for key in quick)
    assert quick == {key: every[key] for key in quick} and 'initial/semseg/mIoU' in quick
    with pytest.raises(ValueError, match='slow_tasks must be True .* boundary'):
        MultiTaskMetric(dict(boundary=CONFIG['boundary']), slow_tasks=False)


class Unscored(Depth):
    """Depth whose score lacks its primary metric."""

    primary_metric = 'psnr'

    def score(self, stats: Tensor) -> dict[str, float]:
        return {key: value for key, value in super().score(stats).items() if key != 'psnr'}


class LateUnscored(Unscored):
    """As seen only where something is scored: the made-up maps are too small for it."""

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        if prediction.shape[-1] < SIZE[-1]:
            raise IndexError('too small')
        return super().stats(prediction, label)


def test_a_score_without_its_primary_metric_is_refused() -> None:
    words = "task dist .*primary_metric 'psnr', it returned rmse, absRel"
    with pytest.raises(ValueError, match=words):
        MultiTaskMetric(dict(dist=Unscored()), workers=0)
    late = LateUnscored()
    metric = MultiTaskMetric(dict(dist=late), workers=0)
    label = make_label(late, torch.Generator().manual_seed(0), SIZE)
    sample = MultiTaskSample(metainfo=dict(img_id='a'), gt=PixelData(dist=label),
                             pred=PixelData(dist=label))
    metric.process({}, [sample.to_dict()])
    with pytest.raises(ValueError, match=words):
        metric.evaluate(1)


def test_made_up_scores_have_all_names_and_leave_the_seed() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    for name, task in TASKS.items():
        label = make_label(task, torch.Generator().manual_seed(0), SIZE)
        prediction = task.activate(torch.zeros(1, task.channels, *SIZE))
        stats = task.stats(prediction, label[None])
        assert list(tiny_scores(task, per_class=True)) == [
            *task.score(stats), *task.class_scores(stats)], name
        assert task.primary_metric in tiny_scores(task)
    assert torch.equal(torch.rand(3), expected)
