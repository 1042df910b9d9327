"""Writes the report of the synthetic benchmark: tables, orderings, plot, result set."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from matplotlib.figure import Figure

from mtpsl.analysis.comparison import DELTA, Comparison, compare
from mtpsl.analysis.comparison_formats import to_markdown
from mtpsl.analysis.directions import metric_directions
from mtpsl.analysis.result_files import read_results
from mtpsl.analysis.results import group_by_method, summarize
from mtpsl.evaluation.delta_m import mean_gain
from mtpsl.evaluation.table import ARROWS
from mtpsl.system.choices import PASCAL_TASKS as TASKS
from mtpsl.system.files import atomically, write_json, write_text

from .benchmark_curves import draw_stage_curves, overtaken
from .methods import BASELINE, METHODS, PAPER_ORDERINGS, RESIDUAL_ORDERINGS
from .record import INITIAL, Run


class Ordering(NamedTuple):
    """An expected ordering of two methods in one setting.

    Attributes:
        name: see ``PAPER_ORDERINGS`` and ``RESIDUAL_ORDERINGS``.
        gains: per seed, the first method's Delta_m minus the second's.
    """

    name: str
    gains: list[float]

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean gain; None with one seed."""
        return stdev(self.gains) / len(self.gains) ** 0.5 if len(self.gains) > 1 else None

    @property
    def verdict(self) -> str:
        """'holds', 'does not', 'unclear' within two standard errors of 0, or 'one seed'."""
        mean, error = fmean(self.gains), self.standard_error
        if error is None:
            return 'one seed'
        if abs(mean) <= 2 * error:
            return 'unclear'
        return 'holds' if mean > 0 else 'does not'


def result_set(runs: Sequence[Run]) -> tuple[dict, list[int]]:
    """Make a result set with an entry per method, setting and seed; join single-task models.

    If the seeds of a method differ in their tasks, for instance after a single-task model has
    failed, only those with the most tasks are kept.

    Returns:
        The set, and the seed of each of its results.
    """
    entries: dict[tuple[str, str, int], dict[str, float]] = {}
    for run in runs:
        final = {key: value for key, value in run.metrics.items() if not key.startswith(INITIAL)}
        entries.setdefault((run.setting, run.method, run.seed), {}).update(final)
    fullest: dict[tuple[str, str], dict[str, float]] = {}
    for (setting, method, _), metrics in entries.items():
        if len(metrics) > len(fullest.get((setting, method), ())):
            fullest[setting, method] = metrics
    kept = {key: metrics for key, metrics in entries.items()
            if set(metrics) == set(fullest[key[:2]])}
    return dict(
        title='MTPSL on synthetic scenes', source='tools/benchmark_synthetic.py',
        results=[dict(setting=f'synthetic_{setting}', method=method,
                      metrics=dict(sorted(metrics.items(), key=_place)))
                 for (setting, method, _), metrics in kept.items()]), [seed for *_, seed in kept]


def _place(figure: tuple[str, float]) -> int:
    return TASKS.index(figure[0].split('/')[0])


def orderings(comparison: Comparison, seeds: Sequence[int]) -> list[Ordering]:
    """Compute, seed by seed, by how much each expected ordering holds in a table's Delta_m.

    Args:
        comparison: a table with a baseline, of results of one set.
        seeds: seed of each result of the set; only seeds that both methods have are compared.
    """
    rows = {row.method.name: row for row in comparison.rows if DELTA in row.scores}
    columns = {key: better for key, better in comparison.columns.items() if key != DELTA}
    if comparison.baseline is None:
        return []
    reference = {key: comparison.baseline.mean(key) for key in columns}

    def scores(name: str) -> dict[int, float]:
        return {seeds[run.index]: mean_gain(run.metrics, reference, columns)
                for run in rows[name].method.runs if run.index is not None}

    found = []
    for name, pair in (PAPER_ORDERINGS | RESIDUAL_ORDERINGS).items():
        if set(pair) <= set(rows):
            first, second = map(scores, pair)
            gains = [first[seed] - second[seed] for seed in first if seed in second]
            found += [Ordering(name, gains)] if gains else []
    return found


def write_report(out: Path, runs: Sequence[Run]) -> str:
    """Write ``results.json``, ``report.md``, ``plot.*`` and ``curves.*`` of the finished runs.

    Args:
        out: the benchmark's folder.
        runs: the finished models.

    Returns:
        The text of the report.
    """
    order = list(METHODS)
    runs = sorted(runs, key=lambda run: (run.setting, order.index(run.method), run.seed))
    results, seeds = result_set(runs)
    write_json(out / 'results.json', results)
    comparisons = {}
    for setting in dict.fromkeys(run.setting for run in runs):
        methods = group_by_method(read_results(out / 'results.json', f'synthetic_{setting}'))
        baseline = [method for method in methods if method.name == BASELINE]
        complete = baseline and len(baseline[0].keys) == len(TASKS) and all(
            baseline[0].mean(key) for key in baseline[0].keys)
        comparisons[setting] = compare(methods, baseline[0] if complete else None)
    text = '\n'.join(
        _section(setting, comparison, seeds, [run for run in runs if run.setting == setting])
        for setting, comparison in comparisons.items())
    write_text(out / 'report.md', text)
    _save(plot(comparisons), out / 'plot')
    for setting in comparisons:
        figure = draw_stage_curves([run for run in runs if run.setting == setting])
        if figure is not None:
            _save(figure, out / f'curves_{setting}')
    return text


def _save(figure: Figure, stem: Path) -> None:
    for suffix in ('svg', 'png'):
        atomically(stem.with_suffix(f'.{suffix}'), lambda name: figure.savefig(name, dpi=120))


def _section(setting: str, comparison: Comparison, seeds: Sequence[int],
             runs: Sequence[Run]) -> str:
    lines = [f'### {setting}', '', to_markdown(comparison), '']
    stages = stage_table(runs)
    if stages:
        lines += ['Initial predictions, and by how much denoising changes them, ± standard error:',
                  '', stages, '']
    overtaking = overtaking_table(runs)
    if overtaking:
        lines += ['The training step from which the final predictions stay ahead of the initial '
                  'ones:', '', overtaking, '']
    found = orderings(comparison, seeds) if comparison.baseline else []
    if found:
        lines += ['| ordering | Delta_m higher by, ± standard error | seeds | here |',
                  '| :-- | --: | --: | :-- |']
    for ordering in found:
        error = ordering.standard_error
        spread = '' if error is None else f' ± {error:.2f}'
        source = 'paper: ' if ordering.name in PAPER_ORDERINGS else ''
        lines.append(f'| {source}{ordering.name} | {fmean(ordering.gains):+.2f}{spread} | '
                     f'{len(ordering.gains)} | {ordering.verdict} |')
    return '\n'.join([*lines, ''])


def stage_table(runs: Sequence[Run]) -> str:
    """Tabulate the effect of denoising, ``initial, final - initial`` by method and task.

    Markdown of means over the seeds, with the standard error of the difference. Empty if no run
    has initial predictions.
    """
    def cell(seeds: Sequence[Run], key: str) -> str:
        initial = summarize([run.metrics[INITIAL + key] for run in seeds])
        change = summarize([run.metrics[key] - run.metrics[INITIAL + key] for run in seeds])
        error = '' if change.std is None else f' ± {change.std / change.runs ** 0.5:.2f}'
        return f'{initial.mean:.2f}, {change.mean:+.2f}{error}'

    return _by_method([run for run in runs if _has_initial(run.metrics)], cell)


def overtaking_table(runs: Sequence[Run]) -> str:
    """Tabulate the step from which denoising helps, by method and task; empty without curves."""
    directions = metric_directions()

    def cell(seeds: Sequence[Run], key: str) -> str:
        step = overtaken(seeds, key, directions[key.split('/')[1]])
        return 'not' if step is None else str(step)

    return _by_method([run for run in runs if any(_has_initial(c) for _, c in run.curves)], cell)


def _has_initial(figures: Mapping[str, float]) -> bool:
    return any(key.startswith(INITIAL) for key in figures)


def _by_method(runs: Sequence[Run], cell: Callable[[Sequence[Run], str], str]) -> str:
    """Make a Markdown table with a row per method and a column per primary metric."""
    if not runs:
        return ''
    directions = metric_directions()
    keys = [key for key in runs[0].metrics if not key.startswith(INITIAL)]
    names = [f'{key.replace("/", " ")} {ARROWS[directions[key.split("/")[1]]]}' for key in keys]
    lines = [f'| method | {" | ".join(names)} |', '| :-- |' + ' --: |' * len(keys)]
    for method in METHODS:
        seeds = [run for run in runs if run.method == method]
        if seeds:
            lines.append(f'| {method} | {" | ".join(cell(seeds, key) for key in keys)} |')
    return '\n'.join(lines)


def plot(comparisons: Mapping[str, Comparison]) -> Figure:
    """Draw a panel per column and a line per method: mean and standard deviation by setting."""
    columns = {column: better for comparison in comparisons.values()
               for column, better in comparison.columns.items()}
    names = list(dict.fromkeys(row.method.name for comparison in comparisons.values()
                               for row in comparison.rows))
    figure = Figure(figsize=(2.3 * len(columns) + 2, 0.32 * len(names) + 1.6),
                    layout='constrained')
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axis, (column, better) in zip(axes, columns.items()):
        for number, (setting, comparison) in enumerate(comparisons.items()):
            points = [(names.index(row.method.name), row.scores[column])
                      for row in comparison.rows if column in row.scores]
            axis.errorbar([score.mean for _, score in points],
                          [place + 0.18 * (2 * number + 1 - len(comparisons))
                           for place, _ in points],
                          xerr=[score.std or 0 for _, score in points], label=setting,
                          fmt='os'[number % 2], color=('black', '0.55')[number % 2], capsize=2,
                          markersize=4)
        axis.set_title(f'{column} {"↑" if better else "↓"}', fontsize=9)
        axis.grid(axis='x', linewidth=0.3)
        if column == DELTA:  # where the single-task models are
            axis.axvline(0, color='black', linewidth=0.8, linestyle='--')
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc='outside lower center', fontsize=8,
                  ncols=len(comparisons))
    return figure
