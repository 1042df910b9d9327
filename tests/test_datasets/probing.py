"""Pipelines with a user's own transforms."""

import numpy as np

from mtpsl.datasets.transforms.probes.probe import check_geometry
from mtpsl.datasets.transforms.probes.probe_values import check_values
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), normal=dict(type='Normal'),
                         depth=dict(type='Depth'), parts=dict(type='Parsing')))
READ = [dict(type='mtpsl.LoadImageFromFile'), dict(type='mtpsl.LoadLabels')]


def check(*steps, read=READ, tasks=TASKS):
    built = [TRANSFORMS.build(step) if isinstance(step, dict) else step
             for step in (*read, *steps)]
    check_geometry(built, tasks)
    check_values(built, tasks)


def of_image(change):
    """A transform of the image alone."""
    return lambda results: results | dict(img=change(results['img']))


def of_all(change):
    """A transform of image and labels alike."""
    return lambda results: results | dict(
        img=change(results['img']), gt={k: change(v) for k, v in results['gt'].items()})


def half(results, change):
    return change(results) if np.random.rand() < 0.5 else results
