"""The outputs of a model: fields of a sample, their order, titles and suffixes.

This module owns the names. It does not import PyTorch, so that command lines can list them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

TRUTH, INITIAL, NOISY, FINAL, UNCERTAINTY = 'gt', 'initial', 'noisy', 'pred', 'uncertainty'
STEPS = 'steps'  # requests the fields of all denoising steps but the last (FINAL)
INTERMEDIATE = (INITIAL, NOISY, STEPS)  # outputs available besides the final predictions
OUTPUTS = (FINAL, *INTERMEDIATE)
METRIC_PREFIXES = {FINAL: '', INITIAL: 'initial/'}  # of the fields with metrics
LOSS_SUFFIXES = {FINAL: '', INITIAL: '_initial'}  # of the fields with losses
ZERO_LOSS = 'loss_zero'
PANELS = 'panels'  # folder of panels beside those of the tasks
# Losses of no single task, ``loss_<name>``; see :func:`shared_loss`. No task may have such a name.
SHARED_LOSSES = ('zero', 'bins', 'feature', 'pseudo', 'consistency', 'xtc', 'jtr_model',
                 'jtr_distance', 'jtr_reconstruction')
_STEP = re.compile(r'step(\d+)')


def task_loss(task: str, output: str = FINAL) -> str:
    """Return the key of a task's loss of an output, a key of ``LOSS_SUFFIXES``."""
    return f'loss_{task}{LOSS_SUFFIXES[output]}'


def shared_loss(name: str) -> str:
    """Return the key of a loss of no single task.

    Raises:
        KeyError: the name is not in ``SHARED_LOSSES``, so that a task could have it.
    """
    if name not in SHARED_LOSSES:
        raise KeyError(f'{name!r} is not in SHARED_LOSSES: a task could have this name')
    return f'loss_{name}'


def join_losses(losses: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Merge losses by name.

    Raises:
        ValueError: a name is in both, so that one loss would replace another.
    """
    if both := sorted(set(losses) & set(more)):
        raise ValueError(f'two losses are called {", ".join(both)}: one would replace the other; '
                         'give the task, or the loss, another name')
    return {**losses, **more}


def name_clash(task: str) -> str:
    """Tell which other loss, figure or folder would be named as one of this task; '' if none."""
    if task in SHARED_LOSSES:
        return f'{shared_loss(task)} is a loss of no single task'
    for output, suffix in LOSS_SUFFIXES.items():
        if suffix and task.endswith(suffix):
            return (f'{task_loss(task)} is the loss of the {output} predictions of a task '
                    f'{task.removesuffix(suffix)!r}')
    if f'{task}/' in METRIC_PREFIXES.values():
        return f'{task}/ begins the names of figures that are not of the final predictions'
    return f'{task} is the folder of the panels' if task == PANELS else ''


def final_metric(key: str) -> str | None:
    """The metric of a figure of final predictions, ``<task>/<metric>`` or, of one of several sets,
    ``<set>/<task>/<metric>``; None of other figures.
    """
    *before, metric = key.split('/')
    initial = METRIC_PREFIXES[INITIAL].rstrip('/')
    return metric if len(before) in (1, 2) and initial not in before else None


def step_field(step: int) -> str:
    """Return the field of X_0 as predicted by denoising step ``step``."""
    return FINAL if step == 1 else f'step{step}'


def intermediate_fields(num_steps: int) -> list[str]:
    """Return the fields before the final predictions of a model with S steps, in order."""
    return [INITIAL, NOISY, *map(step_field, range(num_steps, 1, -1))] if num_steps else []


def titles(fields: Iterable[str]) -> dict[str, str]:
    """Return title -> field in the order of computation, the truth first.

    The final predictions are called 'denoised' if initial predictions or steps are given too.
    """
    fields = set(fields)
    steps = sorted((int(match[1]) for match in map(_STEP.fullmatch, fields) if match), reverse=True)
    final = 'denoised' if INITIAL in fields or steps else 'prediction'
    order = {'truth': TRUTH, INITIAL: INITIAL, NOISY: NOISY}
    order |= {title(step_field(step)): step_field(step) for step in steps}
    order |= {final: FINAL}
    return {name: field for name, field in order.items() if field in fields}


def title(field: str) -> str:
    """Return the title of an intermediate field: ``step2`` becomes 'step 2'."""
    return field.replace('step', 'step ')
