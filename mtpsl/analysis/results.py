"""Results: the figures of runs, and the methods that runs are seeds of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from mtpsl.system.arguments import split_paths

from .directions import metric_directions


@dataclass(frozen=True)
class Score:
    """A figure over runs: its mean and its sample standard deviation, None for one run."""

    mean: float
    std: float | None
    runs: int


@dataclass(frozen=True)
class Result:
    """The figures of one run.

    Attributes:
        method: name of the row it belongs to; the runs of one method are its seeds.
        metrics: ``<task>/<primary metric>``, of several sets ``<set>/<task>/<primary metric>`` ->
            figure, only what was measured.
        file: where it was read.
        index: which of a set's results it is.
        setting: data and labels, such as ``pascal_onelabel``; None where the file does not say.
        params: number of parameters.
        macs: multiply-adds of one image.
        printed_delta_m: Delta_m in percent as its source prints it.
        classes: ``<task>`` -> names of the classes that the file has figures of.
        directions: of each of ``metrics``, whether higher is better; empty: as registered.
        options: task -> its options, see :mod:`.task_options`; empty where the file has none.
        tested: how it was measured, see :mod:`.task_options`; empty where the file does not say.
        note: a line on tasks whose figures are not among ``metrics``, and on a checkpoint that is
            newer than the tested one; '' if there is none.
    """

    method: str
    metrics: Mapping[str, float]
    file: str = ''
    index: int | None = None
    setting: str | None = None
    params: float | None = None
    macs: float | None = None
    printed_delta_m: float | None = None
    classes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    directions: Mapping[str, bool] = field(default_factory=dict, compare=False)
    options: Mapping[str, Mapping] = field(default_factory=dict, compare=False)
    tested: Mapping[str, Any] = field(default_factory=dict, compare=False)
    note: str = field(default='', compare=False)

    @property
    def place(self) -> str:
        """File and position, for messages."""
        return self.file if self.index is None else f'{self.file}: results[{self.index}]'


@dataclass(frozen=True)
class Method:
    """A row of a table: the runs of one method."""

    name: str
    runs: tuple[Result, ...]

    @property
    def keys(self) -> list[str]:
        """Each ``<task>/<metric>`` that a run holds, in order of appearance."""
        return list(dict.fromkeys(key for run in self.runs for key in run.metrics))

    @property
    def most_runs(self) -> int:
        """Runs of the task that has most: those of single-task models differ by task."""
        return max(sum(key in run.metrics for run in self.runs) for key in self.keys)

    def score(self, key: str) -> Score | None:
        """Mean and deviation over the runs that hold ``key``; None if no run does."""
        values = [run.metrics[key] for run in self.runs if key in run.metrics]
        return summarize(values) if values else None

    def mean(self, key: str) -> float:
        """Mean over the runs that hold ``key``, which one at least must."""
        return fmean(run.metrics[key] for run in self.runs if key in run.metrics)


def summarize(values: Sequence[float]) -> Score:
    """Mean and sample standard deviation (n - 1) of at least one value."""
    return Score(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def one_direction(key: str, runs: Iterable[Result]) -> bool | None:
    """Whether more of the figure ``key`` is better; None if no run holds it.

    Raises:
        ValueError: two runs disagree.
    """
    said: dict[bool, str] = {}
    for run in runs:
        if key in run.metrics:
            better = run.directions.get(key)
            said.setdefault(metric_directions()[key.split('/')[-1]] if better is None else better,
                            run.place)
    if len(said) > 1:
        raise ValueError(f'{said[True]} says that a higher {key} is better, {said[False]} that a '
                         'lower one is: they are not the same figure')
    return next(iter(said), None)


def group_by_method(results: Sequence[Result]) -> list[Method]:
    """The methods, in order of appearance; results of the same name are runs (seeds) of one.

    Raises:
        ValueError: no results; a result given twice; runs of one method that differ in their
            tasks, parameters or multiply-adds.
    """
    if not results:
        raise ValueError("no results given: name result files or a setting of the paper's")
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.method, []).append(result)
    for runs in groups.values():
        for number, run in enumerate(runs):
            _check_run(run, runs[:number])
    return [Method(name, tuple(runs)) for name, runs in groups.items()]


def _check_run(run: Result, before: Sequence[Result]) -> None:
    """Whether ``run`` may be one more run beside those ``before`` it."""
    for other in before:
        if (_files(run), run.index) == (_files(other), other.index):
            told = '' if run.place == other.place else f', first as {other.place}'
            raise ValueError(f'{run.place} is given twice{told}; each run counts once')
        if set(run.metrics) != set(other.metrics):
            raise ValueError(
                f'{run.method!r} names results of different tasks: {other.place} holds '
                f'{list(other.metrics)}, {run.place} holds {list(run.metrics)}; NAME=FILE gives a '
                'row another name, NAME=FILE,FILE makes one row of several files')
        for what in ('params', 'macs'):
            sizes = [getattr(other, what), getattr(run, what)]
            if None not in sizes and sizes[0] != sizes[1]:
                raise ValueError(f'runs of {run.method!r} differ in {what}: {other.place} says '
                                 f'{sizes[0]:g}, {run.place} says {sizes[1]:g}')


def _files(run: Result) -> list[Path]:
    """What it was read from, however that was written."""
    return [Path(file).resolve() for file in split_paths(run.file)]


def refuse_overlap(groups: Iterable[tuple[str, Sequence[Result]]]) -> None:
    """Two files of one row must not hold the same figure.

    Args:
        groups: origin, for the message, and its results.

    Raises:
        ValueError: two of the groups hold the same figure.
    """
    owners: dict[str, str] = {}
    for origin, results in groups:
        for key in dict.fromkeys(key for result in results for key in result.metrics):
            if key in owners:
                raise ValueError(f'{owners[key]} and {origin} both hold {key!r}; files of one row '
                                 'must hold different tasks (several seeds go into a set)')
            owners[key] = origin
