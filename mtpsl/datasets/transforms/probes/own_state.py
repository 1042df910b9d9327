"""Find users' transforms that depend on the calls before, or that seed the generators."""

import logging
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log

from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms.image_only import package_and_name
from mtpsl.datasets.transforms.loading import LoadLabels
from mtpsl.tasks import Task

from .probe import SIZE, copied, equal_maps, is_foreign, maps_of, pattern_of, sample_of

AGAIN = 4  # calls for one image and seed


class _Outcome(NamedTuple):
    """What a call leaves: image and labels, and the states of the generators."""

    maps: list[np.ndarray]
    states: tuple[bytes, ...]


def tell_states(steps: Sequence[Callable], tasks: Mapping[str, Task]) -> None:
    """Warn of transforms of which seed, epoch and image do not say what they do.

    Workers would each have a state of their own, and ``--resume`` would begin with none. A
    transform that fails on the pattern, such as a reader of files, is ignored.

    Args:
        steps: the built transforms of a pipeline.
        tasks: task name -> task.
    """
    for step in (step for step in steps if is_foreign(step) and not isinstance(step, LoadLabels)):
        for told in _of_step(step, tasks):
            print_log(f'the transform {".".join(package_and_name(step))} {told}', 'current',
                      logging.WARNING)


def _of_step(step: Callable, tasks: Mapping[str, Task]) -> Iterator[str]:
    tried = copied(step)
    if tried is step:  # it cannot be copied, and its state is to stay
        return
    try:
        first = _call(tried, tasks, 0)
        other = _call(copied(step), tasks, 1)
        again = [_call(tried, tasks, 0) for _ in range(AGAIN)]
    except Exception:
        return
    if any(one == two for one, two in zip(first.states, other.states)):
        yield ('seeds a random generator: what is drawn after it is the same for all images. Leave '
               'that to the run, which seeds by (seed, epoch, image)')
    if not all(equal_maps(one.maps, first.maps) for one in again):
        yield ('makes another thing of the same image and seed when it is called again, so it '
               'keeps something from call to call: that depends on num_workers, and --resume does '
               'not go on with it')


def _call(step: Callable, tasks: Mapping[str, Task], seed: int) -> _Outcome:
    labels: dict[str, np.ndarray] = {
        name: np.zeros(SIZE if task.label_channels == 1 else (*SIZE, task.label_channels),
                       task.label_dtype) for name, task in tasks.items()}
    with seeded(SeededIndex(0, 0, seed)), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        image, maps = maps_of(step(sample_of(pattern_of(SIZE), labels, tasks)))
        states = tuple(repr(state).encode() for state in (
            np.random.get_state(legacy=False), random.getstate(),
            torch.get_rng_state().numpy().tobytes()))
    return _Outcome([image, *maps.values()], states)
