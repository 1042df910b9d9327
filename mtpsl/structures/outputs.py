"""The outputs of a model: fields of a sample, their order, titles and suffixes.

This module owns the names. It does not import PyTorch, so that command lines can list them.
"""

import re
from collections.abc import Iterable

TRUTH, INITIAL, NOISY, FINAL, UNCERTAINTY = 'gt', 'initial', 'noisy', 'pred', 'uncertainty'
STEPS = 'steps'  # requests the fields of all denoising steps but the last (FINAL)
INTERMEDIATE = (INITIAL, NOISY, STEPS)  # outputs available besides the final predictions
OUTPUTS = (FINAL, *INTERMEDIATE)
METRIC_PREFIXES = {FINAL: '', INITIAL: 'initial/'}  # of the fields with metrics
LOSS_SUFFIXES = {FINAL: '', INITIAL: '_initial'}  # of the fields with losses
_STEP = re.compile(r'step(\d+)')


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
