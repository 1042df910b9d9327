"""Times training samples on one core: with the setting's labels, all labels, and none."""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpsl.datasets import PartialLabelDataset, PASCALContext
from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.engine import load_config
from mtpsl.engine.config.dataset_tree import only_leaf
from mtpsl.engine.quiet import quieten
from mtpsl.registry import DATASETS

from .measure import Measurement, measure
from .model import load_function
from .speed_report import report

WORKERS = 8
CPU_TIME = 'CPU time (ms) an image'


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    cfg = load_config(args.config, args.cfg_options)
    config = only_leaf(cfg.train_dataloader.dataset.to_dict())
    dataset = build(config)  # raise errors before any process is started
    if args.against and not isinstance(dataset, PASCALContext):
        raise ValueError(f'--against needs a PASCALContext dataset, {args.config} trains on '
                         f'{type(dataset).__name__}')
    count = min(args.samples, len(dataset))
    procedures = {which: partial(prepare, config, count, which) for which in
             ('labels of the setting', 'no label', 'all labels')}
    if args.against:
        load_function(args.against, 'training_sample')
        procedures['plain'] = partial(prepare_plain, config, count, args.against)
    measured = measure(procedures, args.repeats, args.warm_up, count)
    report(measured, dict(command='data', config=args.config, samples=count), args.json)
    print(shortest_step(measured[0], cfg.train_dataloader.batch_size))


def shortest_step(measured: Measurement, batch: int) -> str:
    """Shortest step time at which data loading is not the bottleneck."""
    rate = 1e3 / measured.facts[CPU_TIME]
    return (f'{WORKERS} workers on a core each make {WORKERS} x {rate:.1f} = {WORKERS * rate:.0f} '
            f'images/s: a step of {batch} images never waits if it takes at least '
            f'{1e3 * batch / (WORKERS * rate):.1f} ms')


def build(config: dict) -> PartialLabelDataset:
    """Build the dataset in a process with one thread, like a data loader's worker."""
    quieten()
    init_default_scope('mtpsl')
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    return DATASETS.build(Config(config))


def prepare(config: dict, count: int, which: str) -> Callable[[], dict[str, float]]:
    """Return the timed step: the first images of the set through its pipeline.

    Args:
        config: config of the dataset.
        count: number of images.
        which: 'labels of the setting', 'all labels' or 'no label'.
    """
    if which == 'all labels':
        config = config | dict(label_mapping=None)
    dataset = build(config)
    if which == 'no label':
        images = [dataset.get_data_info(index) | dict(labels={}) for index in range(count)]
        dataset.get_data_info = images.__getitem__

    def step() -> None:
        for index in range(count):
            dataset[SeededIndex(0, 0, index)]

    return with_cpu_time(step, count)


def prepare_plain(config: dict, count: int, path: str) -> Callable[[], dict]:
    """Return a timed step that calls ``training_sample`` of another file on the same images."""
    dataset = build(config)
    training_sample = load_function(path, 'training_sample')
    images = [dataset.get_data_info(index) for index in range(count)]

    def step() -> None:
        for index, image in enumerate(images):
            with seeded(SeededIndex(0, 0, index)):
                training_sample(dataset.data_root, image['img_id'], tuple(image['labels']))

    return with_cpu_time(step, count)


def with_cpu_time(step: Callable[[], object], count: int) -> Callable[[], dict[str, float]]:
    """Add CPU time to the facts of a step, which other processes do not lengthen."""
    times: list[float] = []

    def timed() -> dict[str, float]:
        start = time.process_time()
        step()
        times.append((time.process_time() - start) / count)
        return {CPU_TIME: 1e3 * statistics.median(times)}

    return timed
