"""Batches of random images and labels in the form that a data loader gives."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.structures import PixelData

from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task

UNKNOWN = 0.1  # share of a label map's rows that are unknown


def draw_labelled(tasks: Sequence[str], labels: str, generator: torch.Generator) -> list[str]:
    """The tasks that a sample is labelled for.

    Args:
        tasks: all tasks.
        labels: 'one', each as likely; 'random', 1 to T - 1 of them, each number and set as
            likely (one of one task); 'all'.
        generator: to draw with.
    """
    if labels == 'all':
        return list(tasks)
    number = 1
    if labels == 'random' and len(tasks) > 2:
        number = int(torch.randint(1, len(tasks), (), generator=generator))
    chosen = torch.randperm(len(tasks), generator=generator)[:number].tolist()
    return [tasks[i] for i in sorted(chosen)]


def random_batch(tasks: Mapping[str, Task], batch: int, size: tuple[int, int], labels: str,
                 seed: int = 0) -> dict:
    """``inputs``: B random (3, H, W) uint8 images; ``data_samples``: B samples with labels.

    Args:
        tasks: task name -> task.
        batch: B.
        size: H and W in pixels.
        labels: see :func:`draw_labelled`.
        seed: of all that is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for number in range(batch):
        names = draw_labelled(list(tasks), labels, generator)
        samples.append(MultiTaskSample(
            metainfo=dict(img_id=f'{seed}_{number}', img_shape=size),
            gt=PixelData(**{name: _random_label(tasks[name], size, generator)
                            for name in names})))
    images = torch.randint(0, 256, (batch, 3, *size), generator=generator, dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


def _random_label(task: Task, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """(c, H, W): what random logits decode to, its first rows unknown."""
    logits = torch.randn(1, task.channels, *size, generator=generator)
    label = task.decode(task.activate(logits))[0]
    if task.label_dtype().dtype.kind == 'u':  # a decoded binary map is a probability
        label = label.round().to(torch.uint8)
    label[:, :round(UNKNOWN * size[0])] = task.ignore_value
    return label
