"""Plots initial and final predictions against training steps."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtpsl.analysis.directions import metric_directions
from mtpsl.evaluation.table import ARROWS
from mtpsl.system.choices import PASCAL_TASKS as TASKS

from .record import INITIAL, Run

COLOURS = ('#000000', '#D55E00', '#0072B2', '#009E73', '#CC79A7', '#56B4E9')
# Methods that share a row of panels; the residual forms, the ablations, the other methods.
ROWS = (
    ('MTL Baseline', 'DiffusionMTL (Prediction)', 'DiffusionMTL (Feature)',
     'DiffusionMTL (Prediction, residual)', 'DiffusionMTL (Feature, residual)',
     'MTL Baseline + residual denoising'),
    ('MTL Baseline', 'DiffusionMTL (Prediction)', 'w/o Diffusion', 'w/o Multi-Task Cond',
     'one step', 'MTL Baseline + residual refinement'),
    ('MTL Baseline', 'SS', 'XTC', 'JTR', 'HiTTs'))


def draw_stage_curves(runs: Sequence[Run]) -> Figure | None:
    """Draw a panel per task and a colour per method: initial predictions dashed, final solid.

    Each line is the mean over the seeds, at the iterations that all of them measured. A row of
    panels for each of ``ROWS`` that has more than the methods of the rows above it.

    Args:
        runs: the runs of one setting.

    Returns:
        The figure; None if no run was validated during training.
    """
    methods: dict[str, list[Run]] = {}
    for run in runs:
        if run.curves and set(TASKS) <= {key.split('/')[-2] for key in run.metrics}:
            methods.setdefault(run.method, []).append(run)
    if not methods:
        return None
    rows: list[list[str]] = []
    for names in ROWS:
        there = [name for name in names if name in methods]
        if set(there) - {name for row in rows for name in row}:
            rows.append(there)
    keys = [key for key in next(iter(methods.values()))[0].metrics if not key.startswith(INITIAL)]
    figure = Figure(figsize=(2.6 * len(keys), 3.2 * len(rows)), layout='constrained')
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, shown in zip(parts, rows):
        panels = part.subplots(1, len(keys), squeeze=False)[0]
        for axes, key in zip(panels, keys):
            _draw_panel(axes, key, {name: methods[name] for name in shown})
        panels[len(keys) // 2].set_xlabel('training steps', fontsize=8)
        part.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center',
                    fontsize=7, ncols=4)
    return figure


def _draw_panel(axes: Axes, key: str, methods: Mapping[str, Sequence[Run]]) -> None:
    for (method, seeds), colour in zip(methods.items(), COLOURS):
        for name, dash in ((key, '-'), (INITIAL + key, '--')):
            points = mean_curve(seeds, name)
            if points:
                axes.plot(*zip(*points), dash, color=colour, linewidth=1.2,
                          label=f'{method}{", initial" if dash == "--" else ""}')
    axes.set_title(f'{key.replace("/", " ")} {ARROWS[metric_directions()[key.split("/")[1]]]}',
                   fontsize=9)
    axes.grid(linewidth=0.3)
    axes.tick_params(labelsize=7)


def mean_curve(runs: Sequence[Run], key: str) -> list[tuple[int, float]]:
    """Return (iteration, mean over the runs) where all runs have the metric ``key``."""
    values: list[Mapping[int, float]] = [
        {step: figures[key] for step, figures in run.curves if key in figures} for run in runs]
    return [(step, fmean(value[step] for value in values)) for step in sorted(values[0])
            if all(step in value for value in values)]


def overtaken(runs: Sequence[Run], key: str, higher_is_better: bool) -> int | None:
    """Find the first step from which the mean final score stays better than the initial one.

    Returns:
        The iteration; None if the final score is worse or equal at the last one.
    """
    final, initial = (dict(mean_curve(runs, name)) for name in (key, INITIAL + key))
    since = None
    for step in sorted(set(final) & set(initial)):
        ahead = final[step] > initial[step] if higher_is_better else final[step] < initial[step]
        since = (since or step) if ahead else None
    return since
