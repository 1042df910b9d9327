"""Makes batches of random images and labels in the format of a data loader."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.structures import PixelData

from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task

UNKNOWN = 0.1  # share of unknown rows of a label map


def draw_labelled(tasks: Sequence[str], labels: str, generator: torch.Generator) -> list[str]:
    """Draw the tasks for which a sample is labelled.

    Args:
        tasks: all tasks.
        labels: 'one', uniformly; 'random', 1 to T - 1 tasks (1 if T = 1), number and set uniformly;
            'all'.
        generator: random generator.
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
    """Make ``inputs``, B random (3, H, W) uint8 images, and ``data_samples``, B labelled samples.

    Args:
        tasks: task name -> task.
        batch: B.
        size: H and W in pixels.
        labels: see :func:`draw_labelled`.
        seed: seed of all random values.
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
    """Decode random logits to a label (c, H, W), with the first rows unknown."""
    logits = torch.randn(1, task.channels, *size, generator=generator)
    label = task.decode(task.activate(logits))[0]
    if task.label_dtype().dtype.kind == 'u':  # decoded binary maps are probabilities
        label = label.round().to(torch.uint8)
    label[:, :round(UNKNOWN * size[0])] = task.ignore_value
    return label
