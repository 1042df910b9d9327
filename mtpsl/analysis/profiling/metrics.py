"""Times the statistics of metrics per image, and the matching of boundaries of a dataset."""

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import cast

import cv2
import numpy as np
import torch

from mtpsl.engine import load_config
from mtpsl.engine.config.dataset_tree import only_leaf
from mtpsl.tasks import Task, build_tasks
from mtpsl.tasks.categorical import CategoricalTask

from .data import CPU_TIME, build, with_cpu_time
from .measure import Measurement, measure
from .model import load_function
from .speed_report import report

STRIDE = 8  # stride of the logits from which a model's maps are upsampled


def run(args: argparse.Namespace) -> None:
    """Measure and report each task."""
    cfg = load_config(args.config, args.cfg_options)
    tasks = build_tasks(cfg.tasks)
    unknown = sorted(set(args.tasks or ()) - set(tasks))
    if unknown:
        raise ValueError(f'--tasks must be among {", ".join(tasks)}, got {", ".join(unknown)}')
    if args.against:
        load_function(args.against, 'statistics')
    for name in args.tasks or tasks:
        json = args.json and args.json.with_name(f'{args.json.stem}_{name}{args.json.suffix}')
        setting = dict(command='metrics', config=args.config, task=name)
        if tasks[name].stats_on_cpu:
            config = only_leaf(cfg.test_dataloader.dataset.to_dict())
            total = len(build(config))
            images = args.images or total
            maps = min(args.maps, total)
            procedures = {f'{kind} predictions': partial(prepare_boundary, config, name, maps, kind)
                     for kind in MAPS}
            measured = measure(procedures, args.repeats, args.warm_up, maps)
            report(measured, setting | dict(maps=maps), json, item='maps')
            print('\n'.join(extrapolate(m, images) for m in measured))
            continue
        side = partial(prepare, cfg.tasks.to_dict(), name, tuple(args.size))
        procedures = {'ours': side}
        if isinstance(tasks[name], CategoricalTask):
            procedures['ours, classes given'] = partial(side, classes_given=True)
            if args.against:
                procedures['plain, classes given'] = partial(side, args.against, classes_given=True)
        if args.against and tasks[name].label_dtype is np.uint8:
            procedures['plain'] = partial(side, args.against)
        measured = measure(procedures, args.repeats, args.warm_up)
        report(measured, setting | dict(size=tuple(args.size)), json)


def extrapolate(measured: Measurement, images: int) -> str:
    """Extrapolate the time of a set of images on this machine's cores."""
    cores = os.cpu_count() or 1
    seconds = measured.facts[CPU_TIME] / 1e3
    minutes = images * seconds / cores / 60
    return (f'{measured.name}: {seconds:.2f} s a map on one core; {images} images on {cores} cores '
            f'{minutes:.1f} min, with the initial predictions too {2 * minutes:.1f} min')


def prepare(tasks: dict, name: str, size: tuple[int, int],
            against: str | None = None, classes_given: bool = False) -> Callable[[], dict]:
    """Return the timed function: the statistics of one random image.

    Args:
        tasks: tasks of the config.
        name: name of one of them.
        size: H and W.
        against: a file whose functions ``statistics`` and ``class_counts`` replace the task's
            ``stats`` and ``confusion``.
        classes_given: whether to start from predicted classes instead of probabilities.
    """
    torch.set_num_threads(1)
    task = build_tasks(tasks)[name]
    prediction, label = random_maps(task, size)
    if classes_given:
        classes = task.decode(prediction)
        if not against:
            return with_cpu_time(lambda: cast(CategoricalTask, task).confusion(classes, label), 1)
        class_counts = load_function(against, 'class_counts')
        return with_cpu_time(lambda: class_counts(classes[:, 0], label[:, 0], task.channels), 1)
    if against:
        statistics = load_function(against, 'statistics')
        return with_cpu_time(lambda: statistics(task, prediction, label), 1)
    return with_cpu_time(lambda: task.stats(prediction, label), 1)


def random_maps(task: Task, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a random prediction and label of an image; a tenth of the rows is unknown."""
    generator = torch.Generator().manual_seed(0)
    prediction = task.activate(torch.randn(1, task.channels, *size, generator=generator))
    label = task.decode(task.activate(torch.randn(1, task.channels, *size, generator=generator)))
    if task.label_dtype is np.uint8:
        label = label.round().byte()
    label[:, :, :size[0] // 10] = task.ignore_value
    return prediction, label


def prepare_boundary(config: dict, name: str, count: int, kind: str) -> Callable[[], dict]:
    """Return the timed function: matching the first boundary maps of a dataset one by one.

    Args:
        config: config of the dataset.
        name: name of the task.
        count: number of maps.
        kind: kind of the predictions, a key of :data:`MAPS`.
    """
    dataset = build(config)
    task, rng = dataset.tasks[name], np.random.default_rng(0)
    labels = [dataset[index]['data_samples'].gt.get(name) for index in range(count)]
    pairs = [(torch.from_numpy(MAPS[kind](label[0].numpy() == 1, rng))[None, None], label[None])
             for label in labels]

    def step() -> None:
        for prediction, label in pairs:
            task.stats(prediction, label)

    return with_cpu_time(step, count)


def smooth(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Imitate a trained model: wide ridges along the truth and false ones, from a coarse grid.

    Args:
        truth: (H, W) bool.
        rng: source of the noise.

    Returns:
        (H, W) float32 in [0, 1].
    """
    height, width = truth.shape
    noise = cv2.GaussianBlur(rng.standard_normal(truth.shape, np.float32), (0, 0), 4)
    logits = 20 * cv2.GaussianBlur(truth.astype(np.float32), (0, 0), 3) - 3 + noise / noise.std()
    coarse = cv2.resize(logits, (-(-width // STRIDE), -(-height // STRIDE)),
                        interpolation=cv2.INTER_AREA)
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return 1 / (1 + np.exp(-fine))


def noisy(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add noise per pixel to :func:`smooth`: suppression keeps five times as many pixels."""
    ridge = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), 2)
    logits = 6 * ridge / max(ridge.max(), 1e-6) - 3
    return 1 / (1 + np.exp(-logits - 0.7 * rng.standard_normal(truth.shape, np.float32)))


MAPS = dict(smooth=smooth, noisy=noisy)
