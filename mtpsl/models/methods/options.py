"""What is asked of a prediction."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PredictOptions:
    """Options of a prediction; None is what the model was built with.

    Attributes:
        tasks: names of the tasks to predict; None is all. Work that only others need is not done.
        num_samples: K, predictions to average, each from noise of its own.
        outputs: fields to return, of ``mtpsl.structures.outputs.OUTPUTS``.
    """

    tasks: Sequence[str] | None = None
    num_samples: int | None = None
    outputs: Sequence[str] | None = None


DEFAULT = PredictOptions()
