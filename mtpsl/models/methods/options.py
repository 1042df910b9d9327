"""Options of a prediction."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PredictOptions:
    """Options of a prediction; None is the model's own value.

    Attributes:
        tasks: names of the tasks to predict; None is all. Work that only others need is skipped.
        num_samples: K, number of predictions, each from other noise, to average.
        outputs: fields to return, of ``mtpsl.structures.outputs.OUTPUTS``.
    """

    tasks: Sequence[str] | None = None
    num_samples: int | None = None
    outputs: Sequence[str] | None = None


DEFAULT = PredictOptions()
