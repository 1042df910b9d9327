"""Training curves: losses and validation metrics, several runs overlaid."""

import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.logging import print_log

from mtpsl.analysis.directions import left_out, primary_figures, read_directions
from mtpsl.engine.visualization import read_curves
from mtpsl.evaluation.table import ARROWS
from mtpsl.structures.outputs import LOSS_SUFFIXES, ZERO_LOSS
from mtpsl.system.arguments import split_name
from mtpsl.system.choices import COLUMN, PAGE
from mtpsl.system.files import RESULT

from .runs import curves_file, run_title
from .style import line_styles, paper_style

ACROSS = 5  # panels at most
MARKS = 6  # on a line
PARTS = tuple(filter(None, LOSS_SUFFIXES.values()))  # of losses before the final predictions
Points = tuple[np.ndarray, np.ndarray]


def read_run(text: str) -> tuple[str, list[dict]]:
    """Title and records of ``[NAME=]WORK_DIR`` or of a file of curves.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no file of curves, or an empty one.
    """
    name, path = split_name(text)
    file = curves_file(path)
    records = read_curves(file)
    if not records or not all(isinstance(record, dict) for record in records):
        raise ValueError(f'{file} holds no curve')
    return name or run_title(path), records


def find_losses(runs: Mapping[str, Sequence[dict]]) -> list[str]:
    """Keys of the losses to draw: those of the last stage, without ``loss_depth_initial``."""
    keys = dict.fromkeys(key for records in runs.values() for record in records for key in record
                         if key.startswith('loss_') and key != ZERO_LOSS)
    parts = {key + part for key in keys for part in PARTS}
    return [key for key in keys if key not in parts]


def read_named(text: str) -> dict[str, bool] | None:
    """Primary metrics that the ``metrics.json`` beside the curves of a run names; None if it does
    not. Argument: see :func:`read_run`.

    Raises:
        ValueError: the entry of the file is no object of true and false.
    """
    file = curves_file(split_name(text)[1]).with_name(RESULT)
    try:
        content = json.loads(file.read_text(encoding='utf-8')) if file.is_file() else {}
    except ValueError:  # no JSON; who reads the figures tells
        return None
    return read_directions(content, str(file)) if isinstance(content, dict) else None


def find_metrics(runs: Mapping[str, Sequence[dict]],
                 named: Mapping[str, Mapping[str, bool] | None] | None = None) -> dict[str, bool]:
    """``<task>/<primary metric>`` of the validations -> whether higher is better.

    Warns of tasks of which no figure is known to be the primary one.

    Args:
        runs: title -> records.
        named: title -> primary metrics that are known of the run, see :func:`read_named`.
    """
    found: dict[str, bool] = {}
    for title, records in runs.items():
        figures = {key: value for record in records if 'after' in record
                   for key, value in record.items()}
        own = primary_figures(figures, (named or {}).get(title))
        if line := left_out(figures, own, f'the curves of {title}'):
            print_log(line, 'current', logging.WARNING)
        found |= own
    return found


def curve(records: Sequence[dict], key: str) -> Points:
    """Iterations done and values where ``key`` was logged and finite."""
    points = [(record.get('iter', record.get('after')), record[key]) for record in records
              if record.get(key) is not None]
    return np.array([x for x, _ in points]), np.array([y for _, y in points], float)


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of each value and up to ``window - 1`` before it."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)


def draw_curves(runs: Mapping[str, Sequence[dict]], window: int = 1,
                named: Mapping[str, Mapping[str, bool] | None] | None = None) -> Figure:
    """Losses above, validation metrics below, a panel each, against training iterations.

    Args:
        runs: title -> records, see :func:`mtpsl.engine.visualization.read_curves`.
        window: losses are means of so many logged values.
        named: see :func:`find_metrics`.

    Raises:
        ValueError: no run has logged a loss or a metric.
    """
    metrics = find_metrics(runs, named)
    tasks = [key.split('/')[-2] for key in metrics]
    losses = sorted(find_losses(runs), key=lambda key: (
        tasks.index(key.removeprefix('loss_')) if key.removeprefix('loss_') in tasks else 99))
    titles = [f'{key.removeprefix("loss_")} loss ↓' for key in losses] + [
        f'{key.replace("/", " ")} {ARROWS[better]}' for key, better in metrics.items()]
    if not titles:
        raise ValueError(f'no losses and no metrics in the curves of {", ".join(runs)}')
    rows = [list(group[i:i + ACROSS]) for group in (losses, list(metrics))
            for i in range(0, len(group), ACROSS)]
    across = max(map(len, rows))
    looks = line_styles(runs)
    with paper_style():
        figure = Figure(figsize=(COLUMN if across <= 2 else PAGE, 1.25 * len(rows) + 0.35),
                        layout='constrained')
        grid = figure.subplots(len(rows), across, squeeze=False)
        panels = dict(zip([*losses, *metrics], titles))
        for line, keys in zip(grid, rows):
            for axes, key in zip(line, keys):
                _draw_panel(axes, panels[key], {title: curve(records, key)
                                                for title, records in runs.items()},
                            window if key in losses else 1, looks)
            for axes in line[len(keys):]:
                axes.remove()
        limits = [axes.get_xlim() for axes in figure.axes]
        for axes in figure.axes:
            axes.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
        figure.supxlabel('training iterations', fontsize=7)
        handles = [grid[0, 0].plot([], [], **look)[0] for look in looks.values()]
        figure.legend(handles, list(looks), loc='outside upper center', ncols=len(looks),
                      frameon=False)
    return figure


def _draw_panel(axes: Axes, title: str, curves: Mapping[str, Points], window: int,
                looks: Mapping[str, dict]) -> None:
    for number, (name, (x, y)) in enumerate(curves.items()):
        # Markers that do not lie on those of the other runs.
        step = max(1, len(x) // MARKS)
        axes.plot(x, smooth(y, window), **looks[name], label=name,
                  markevery=(number * step // len(curves) % step, step))
    axes.set_title(title)
    axes.grid(True)
    axes.locator_params(nbins=4)
