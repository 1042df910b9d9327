"""A look at the losses of a step: which count in the sum that is trained on."""

import logging
import math
from collections.abc import Iterable, Mapping

from mmengine.logging import print_log
from torch import Tensor

from mtpsl.structures.outputs import LOSS_SUFFIXES, SHARED_LOSSES, shared_loss, task_loss

CLOSE = 1e-5  # relative difference of float32 sums of the same numbers


def check_losses(losses: Mapping[str, Tensor], tasks: Iterable[str]) -> None:
    """Look at the losses of a step: entries with "loss" in their names are added, no others.

    A GPU is waited for only where some have names of their own.

    Args:
        losses: what a model's ``loss`` returned, scalars by name.
        tasks: names of the tasks.

    Raises:
        ValueError: one is the sum of the others, so that all would count twice.

    Warns:
        through the log: one has a gradient and is not added.
    """
    single = {name: value for name, value in losses.items() if isinstance(value, Tensor)}
    for name, value in single.items():
        if 'loss' not in name and value.requires_grad:
            print_log(f'{name} is logged, and not trained on: only entries with "loss" in their '
                      f'names are added, such as loss_{name}. If that is meant, detach() it',
                      'current', logging.WARNING)
    known = {*map(shared_loss, SHARED_LOSSES),
             *(task_loss(task, output) for task in tasks for output in LOSS_SUFFIXES)}
    own = [name for name in single if 'loss' in name and name not in known]
    if not own:
        return
    counted = {name: float(value.detach().sum()) for name, value in single.items()
               if 'loss' in name}
    others = sum(number != 0 for number in counted.values()) - 1
    for name in own if others > 1 else ():
        number = counted[name]
        if number and math.isclose(number, sum(counted.values()) - number, rel_tol=CLOSE):
            raise ValueError(f'{name} is the sum of the other losses ({number:.4g}), and all '
                             'entries with "loss" in their names are added: each would count '
                             'twice. Leave it out: the sum is logged as loss')
