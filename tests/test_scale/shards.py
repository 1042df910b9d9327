"""The evaluation of a set that is dealt to several ranks, and how often its parts ran."""

from collections import Counter
from unittest import mock

import torch
from mmengine.structures import PixelData
from tiny import PASCAL_TASKS, make_samples

from mtpsl.datasets import SeededSampler
from mtpsl.evaluation import MultiTaskMetric
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import boundary, build_tasks

SIZE = (24, 20)
LABELS = (['semseg', 'boundary'], list(PASCAL_TASKS), [], ['boundary', 'normal', 'saliency'],
          ['parsing', 'boundary', 'semseg'])


def images(count: int) -> list[MultiTaskSample]:
    """Seeded labels and predictions."""
    generator = torch.Generator().manual_seed(2)
    samples = make_samples([LABELS[i % len(LABELS)] for i in range(count)], SIZE)
    for sample in samples:
        for field in ('pred', 'initial'):
            setattr(sample, field, PixelData(**{
                name: task.activate(torch.randn(1, task.channels, *SIZE, generator=generator))[0]
                for name, task in build_tasks(PASCAL_TASKS).items()}))
    return samples


def evaluate(samples: list[MultiTaskSample], dealt: list[int], size: int,
             collect_device: str = 'gpu') -> tuple[dict[str, float], Counter]:
    """The figures, and the calls of ``compute_metrics``, odsF's score and boundary matching.

    Of all ranks' results mmengine keeps the first ``size``, one of each rank in turn.
    """
    metric = MultiTaskMetric(PASCAL_TASKS, workers=0, collect_device=collect_device)
    calls: Counter = Counter()

    def counted(owner: object, name: str) -> mock._patch:
        function = getattr(owner, name)

        def count(*arguments: object) -> object:
            calls[name] += 1
            return function(*arguments)
        return mock.patch.object(owner, name, count)

    with counted(metric, 'compute_metrics'), counted(boundary, 'boundary_scores'), \
            counted(boundary, 'boundary_counts'):
        for index in dealt:
            metric.process({}, [samples[index].to_dict()])
        return metric.evaluate(size), calls


def evaluate_shards(cases: list[tuple[int, bool, int, str]]) -> list[
        tuple[list[int], dict[str, float], Counter]]:
    """What this rank is dealt of each case's images, the figures it reports, and its calls.

    Args:
        cases: number of images; whether the sampler repeats some of them, so that all ranks have
            as many; how many results to keep; where they meet.
    """
    torch.distributed.init_process_group('gloo')
    found = []
    for count, repeat, size, device in cases:
        samples = images(count)
        dealt = [draw.index for draw in SeededSampler(samples, shuffle=False, round_up=repeat)]
        found.append((dealt, *evaluate(samples, dealt, size, device)))
    return found
