"""What a model gives for an image: the fields of a sample, their order, titles and suffixes.

The one owner of these names. Nothing here imports PyTorch, so that command lines can offer them.
"""

import re
from collections.abc import Iterable

TRUTH, INITIAL, NOISY, FINAL, UNCERTAINTY = 'gt', 'initial', 'noisy', 'pred', 'uncertainty'
STEPS = 'steps'  # asks for the fields of all denoising steps but the last, which gives FINAL
INTERMEDIATE = (INITIAL, NOISY, STEPS)  # what can be asked for besides the final predictions
OUTPUTS = (FINAL, *INTERMEDIATE)
METRIC_PREFIXES = {FINAL: '', INITIAL: 'initial/'}  # of the fields that are scored
LOSS_SUFFIXES = {FINAL: '', INITIAL: '_initial'}  # of the fields that are trained
_STEP = re.compile(r'step(\d+)')


def final_metric(key: str) -> str | None:
    """The metric of a figure of final predictions, ``<task>/<metric>`` or, of one of several sets,
    ``<set>/<task>/<metric>``; None of other figures.
    """
    *before, metric = key.split('/')
    initial = METRIC_PREFIXES[INITIAL].rstrip('/')
    return metric if len(before) in (1, 2) and initial not in before else None


def step_field(step: int) -> str:
    """The field of X_0 as denoising step ``step`` predicts it."""
    return FINAL if step == 1 else f'step{step}'


def intermediate_fields(num_steps: int) -> list[str]:
    """The fields before the final predictions of a model with so many steps, in their order."""
    return [INITIAL, NOISY, *map(step_field, range(num_steps, 1, -1))] if num_steps else []


def titles(fields: Iterable[str]) -> dict[str, str]:
    """Title -> field, in the order in which they are computed; the truth first.

    Final predictions are called 'denoised' where something before them is among the fields.
    """
    fields = set(fields)
    steps = sorted((int(match[1]) for match in map(_STEP.fullmatch, fields) if match), reverse=True)
    final = 'denoised' if INITIAL in fields or steps else 'prediction'
    order = {'truth': TRUTH, INITIAL: INITIAL, NOISY: NOISY}
    order |= {title(step_field(step)): step_field(step) for step in steps}
    order |= {final: FINAL}
    return {name: field for name, field in order.items() if field in fields}


def title(field: str) -> str:
    """A field before the final predictions as people read it: ``step2`` is step 2."""
    return field.replace('step', 'step ')
