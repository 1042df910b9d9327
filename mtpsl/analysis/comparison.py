"""Compares results: a row per method, a column per primary metric, Delta_m last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mtpsl.evaluation.delta_m import mean_gain
from mtpsl.evaluation.table import decimals, figure, signed

from .result_files import read_argument
from .results import Method, Result, Score, one_direction, refuse_overlap, summarize

DELTA = 'delta_m'


@dataclass(frozen=True)
class Row:
    """A method in a table.

    Attributes:
        method: the method.
        scores: column -> mean and deviation; columns without a score of the method are absent.
    """

    method: Method
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Comparison:
    """A table, independent of its format.

    Attributes:
        columns: ``<task>/<metric>`` or ``<set>/<task>/<metric>``, and ``delta_m`` last if there is
            a baseline -> whether higher is better.
        rows: one per method.
        baseline: method that Delta_m is relative to.
    """

    columns: Mapping[str, bool]
    rows: Sequence[Row]
    baseline: Method | None

    def best(self, column: str) -> set[str]:
        """Return the methods with the best mean of a column, compared as printed.

        Empty if fewer than two methods have a score. The baseline counts like any other row.
        """
        means = {row.method.name: row.scores[column].mean for row in self.rows
                 if column in row.scores}
        if len(means) < 2:
            return set()
        best = (max if self.columns[column] else min)(means.values())
        show = signed if column == DELTA else figure
        return {name for name, mean in means.items() if show(mean) == show(best)}


def beside_paper(paper: Sequence[Method], own: Sequence[Method]) -> list[Method]:
    """Put the paper's methods first; one named as one of ``own`` becomes ``NAME (paper)``.

    Raises:
        ValueError: own figures of named sets.
    """
    for method in own:
        for key in (key for key in method.keys if key.count('/') > 1):
            raise ValueError(f'{method.runs[0].place} holds {key}: the figures of the paper are of '
                             'one data set, and of a model that is trained on it alone; without '
                             '--paper, results are compared with each other')
    names = {method.name for method in own}
    return [replace(method, name=f'{method.name} (paper)') if method.name in names else method
            for method in paper] + list(own)


def compare(methods: Sequence[Method], baseline: Method | None = None) -> Comparison:
    """Make a table of methods.

    Args:
        methods: the rows.
        baseline: method that Delta_m is relative to (the means of its runs). If it is not one of
            ``methods``, it becomes the first row. None leaves Delta_m out.

    Returns:
        The table. Delta_m is computed per run, then its mean and deviation over the runs.

    Raises:
        ValueError: no method; two rows of one name, or that disagree on whether more of a figure
            is better; the baseline lacks a column or is zero in it.
    """
    if not methods:
        raise ValueError('no results given')
    rows = list(methods)
    if baseline is not None and baseline not in rows:
        rows.insert(0, baseline)
    named: dict[str, Method] = {}
    for method in rows:
        other = named.setdefault(method.name, method)
        if other is not method:
            raise ValueError(f'two rows are called {method.name!r}, {other.runs[0].place} and '
                             f'{method.runs[0].place}; NAME=FILE gives one another name')
    keys = dict.fromkeys(key for method in [*methods, *rows] for key in method.keys)
    columns = {key: one_direction(key, [run for method in rows for run in method.runs]) is True
               for key in keys}
    scores = [{key: score for key in columns if (score := method.score(key))} for method in rows]
    if baseline is not None:
        reference = _reference(baseline, columns)
        for method, figures in zip(rows, scores):
            if method != baseline and len(figures) == len(columns):
                figures[DELTA] = summarize([mean_gain(run.metrics, reference, columns)
                                            for run in method.runs])
        columns = columns | {DELTA: True}
    return Comparison(columns, [Row(*row) for row in zip(rows, scores)], baseline)


def _reference(baseline: Method, columns: Mapping[str, bool]) -> dict[str, float]:
    reference = {}
    for key in columns:
        score = baseline.score(key)
        if not (score and score.mean):
            got = 'is zero' if score else f'is missing, it holds {baseline.keys}'
            raise ValueError(f'the baseline {baseline.name!r} ({baseline.runs[0].place}) must hold '
                             f'a non-zero figure of each column: {key!r} {got}')
        reference[key] = score.mean
    return reference


def read_baseline(texts: Sequence[str], setting: str | None = None) -> Method:
    """Read a baseline, one model or one model per task, as one row.

    Its name is that of its files if they agree, else ``Baseline``.

    Args:
        texts: see :func:`read_argument`; the results of a set are seeds.
        setting: see :func:`read_results`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see :func:`read_argument`; a set of several methods.
    """
    groups = [(text, read_argument(text, setting)) for text in texts]
    for text, results in groups:
        names = list(dict.fromkeys(result.method for result in results))
        if len(names) > 1:
            raise ValueError(f'a baseline is one method, {text} holds {names}; give the file among '
                             'the results and the name of one of its methods as the baseline')
    refuse_overlap(groups)
    runs = [result for _, results in groups for result in results]
    if len(groups) > 1:  # the size of one model is not that of all of them
        runs = [replace(run, params=None, macs=None) for run in runs]
    methods = {run.method for run in runs}
    return Method(methods.pop() if len(methods) == 1 else 'Baseline', tuple(runs))


def find_baseline(texts: Sequence[str], methods: Sequence[Method],
                  setting: str | None = None) -> Method:
    """Find the baseline: ``texts`` are the name of one of ``methods``, or files.

    Raises:
        FileNotFoundError: neither a method nor a file.
        ValueError: see :func:`read_baseline`.
    """
    for method in methods:
        if list(texts) == [method.name]:
            return method
    try:
        return read_baseline(texts, setting)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'baseline: {error}; nor is {" ".join(texts)!r} one of the methods '
                                f'{[method.name for method in methods]}') from None


def disagreements(comparison: Comparison) -> list[str]:
    """List the rows whose Delta_m differs from the one printed by their source, one line each.

    Only rows of the baseline's own file are compared. Rounding is allowed for: each number may be
    off by half a unit of its last printed digit.
    """
    lines: list[str] = []
    baseline = comparison.baseline
    if baseline is None:
        return lines
    for row in comparison.rows:
        run, score = row.method.runs[0], row.scores.get(DELTA)
        if (run.printed_delta_m is None or score is None or score.runs > 1
                or run.file != baseline.runs[0].file):
            continue
        slack = 0.5 * 10 ** -2
        for key, ours in run.metrics.items():
            base = baseline.mean(key)
            off = [0.5 * 10 ** -decimals(value) / abs(base) for value in (ours, base)]
            slack += 100 / len(run.metrics) * (off[0] + off[1] * abs(ours / base))
        if abs(score.mean - run.printed_delta_m) > slack:
            lines.append(f'{row.method.name}: Delta_m {signed(score.mean)}% relative to '
                         f'{baseline.name}, but its source prints '
                         f'{signed(run.printed_delta_m)}%')
    return lines


def copies(methods: Iterable[Method]) -> list[str]:
    """List the runs whose figures are all alike, as of a copied work dir, or of one checkpoint."""
    lines: list[str] = []
    first: dict[tuple, tuple[Method, Result]] = {}
    for method in methods:
        for run in method.runs:
            owner, other = first.setdefault(tuple(sorted(run.metrics.items())), (method, run))
            if owner is method and other is not run:
                lines.append(f'{method.name}: all figures of {other.place} and {run.place} are '
                             'alike, and count as two runs: is one a copy of the other?')
            # Rounded figures, as of a paper's table, may be alike by chance.
            elif owner is not method and any(
                    value != round(value, 3) for value in run.metrics.values()):
                lines.append(f'all figures of {owner.name} and {method.name} are alike: are '
                             f'{other.place} and {run.place} tests of one checkpoint?')
    return lines


def other_classes(methods: Iterable[Method]) -> list[str]:
    """List the tasks whose figures are means over different classes, one line each."""
    lines: dict[str, str] = {}
    first: dict[str, Result] = {}
    for run in (run for method in methods for run in method.runs):
        for task, classes in run.classes.items():
            other = first.setdefault(task, run)
            if classes != other.classes[task]:
                lines.setdefault(task, f'{task} has {len(other.classes[task])} classes in '
                                       f'{other.place} and others, {len(classes)}, in {run.place}: '
                                       'their figures are not comparable')
    return list(lines.values())
