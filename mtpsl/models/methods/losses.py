"""A look at the losses of first steps: which count in the sum that is trained on."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping

from mmengine.logging import print_log
from torch import Tensor

from mtpsl.structures.outputs import LOSS_SUFFIXES, SHARED_LOSSES, shared_loss, task_loss

CLOSE = 1e-5  # relative difference of float32 sums of the same numbers
STEPS, OFTEN = 50, 3  # looked at; in which a loss equals the only other one


class LossCheck:
    """Looks at the losses of the first steps: entries with "loss" in their names are added.

    A GPU is waited for only where some losses have names of their own.

    Args:
        tasks: names of the tasks.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self._known = {*map(shared_loss, SHARED_LOSSES),
                       *(task_loss(task, output) for task in tasks for output in LOSS_SUFFIXES)}
        self._steps = 0
        self._equal: Counter[str] = Counter()  # name -> steps in which it was the only other loss

    def __call__(self, losses: Mapping[str, Tensor]) -> None:
        """Look at the losses of a step, scalars by name.

        Raises:
            ValueError: one is the sum of the others, so that all would count twice.

        Warns:
            through the log: one has a gradient and is not added.
        """
        if self._steps == STEPS:
            return
        self._steps += 1
        single = {name: value for name, value in losses.items() if isinstance(value, Tensor)}
        for name, value in single.items() if self._steps == 1 else ():
            if 'loss' not in name and value.requires_grad:
                print_log(f'{name} is logged, and not trained on: only entries with "loss" in '
                          f'their names are added, such as loss_{name}. If that is meant, '
                          'detach() it', 'current', logging.WARNING)
        own = [name for name in single if 'loss' in name and name not in self._known]
        if own:
            self._compare(own, {name: float(value.detach().sum())
                                for name, value in single.items() if 'loss' in name})

    def _compare(self, own: Iterable[str], values: Mapping[str, float]) -> None:
        others = sum(number != 0 for number in values.values()) - 1
        for name in own:
            number = values[name]
            if others < 1 or not number or not math.isclose(
                    number, sum(values.values()) - number, rel_tol=CLOSE):
                continue
            self._equal[name] += 1
            if others > 1 or self._equal[name] == OFTEN:
                raise ValueError(f'{name} is the sum of the other losses ({number:.4g}), and all '
                                 'entries with "loss" in their names are added: each would count '
                                 'twice. Leave it out: the sum is logged as loss')
