"""Fig. 6: metrics and multiply-adds against the number of denoising steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtpsl.analysis.complexity import build_without_values, complexity
from mtpsl.analysis.result_files import read_results
from mtpsl.analysis.results import Method, group_by_method, one_direction
from mtpsl.analysis.task_options import STEPS
from mtpsl.engine import load_config
from mtpsl.engine.config.load import require
from mtpsl.evaluation.table import ARROWS
from mtpsl.system.arguments import split_paths
from mtpsl.system.choices import COLUMN, PAGE

from .runs import run_config, tell_notes, tell_other_tests
from .style import paper_style


@dataclass(frozen=True)
class StepRow:
    """The results of a model with S denoising steps.

    Attributes:
        steps: S.
        macs: multiply-adds of one image.
        method: results; several runs are seeds.
        origin: source of the results, for messages.
    """

    steps: int
    macs: int
    method: Method
    origin: str


def read_step_row(text: str, options: Mapping[str, object] | None = None) -> StepRow:
    """Read ``WORK_DIR`` (its config and metrics.json) or ``CONFIG=METRICS[,METRICS...]``.

    Args:
        text: as above; several result files are seeds.
        options: overrides of the config, as ``--cfg-options`` gives them.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: another form, a config without denoising steps, or with another number than
            was tested, or not a result file.
    """
    if Path(text).is_dir():
        config, files = run_config(text), [text]
    elif '=' in text:
        config, _, rest = text.rpartition('=')
        files = split_paths(rest)
    else:
        raise ValueError(f'expected a work dir or CONFIG=METRICS, got {text!r}, which is neither')
    results = [replace(result, method=config) for file in files
               for result in read_results(file)]
    tell_notes(*results)
    (method,) = group_by_method(results)
    cfg = load_config(config, options)
    require(cfg, 'model')
    model = build_without_values(cfg.model)
    if not model.num_steps:
        raise ValueError(f'{config} has no denoising steps: its model is a {type(model).__name__}')
    for result in results:
        tested = result.tested.get(STEPS, model.num_steps)
        if tested != model.num_steps:
            raise ValueError(f'{result.file} has the figures of {tested} denoising steps, {config} '
                             f'has {model.num_steps}; CONFIG=METRICS with a config of {tested} '
                             'steps draws them')
    macs = complexity(model, model.data_preprocessor.size, depth=1)['']['macs']
    return StepRow(model.num_steps, macs, method, text)


def draw_steps(rows: Sequence[StepRow]) -> Figure:
    """Draw a panel per primary metric: a line of it (left axis), bars of multiply-adds (right).

    Args:
        rows: one or more, in any order; several seeds are drawn as mean and standard deviation.

    Raises:
        ValueError: two rows with the same number of steps.
    """
    ordered = sorted(rows, key=lambda row: row.steps)
    tell_other_tests(row.method for row in ordered)
    for first, second in zip(ordered, ordered[1:]):
        if first.steps == second.steps:
            raise ValueError(f'{first.origin} and {second.origin} both have {first.steps} steps; '
                             'seeds of one model are given as CONFIG=METRICS,METRICS')
    keys = list(dict.fromkeys(key for row in ordered for key in row.method.keys))
    with paper_style():
        width = COLUMN if len(keys) <= 2 else PAGE
        figure = Figure(figsize=(width, 1.75), layout='constrained')
        panels = figure.subplots(1, len(keys), squeeze=False)[0]
        for number, (axes, key) in enumerate(zip(panels, keys)):
            costs = _draw_panel(axes, key, ordered)
            if number == len(keys) - 1:
                costs.set_ylabel('multiply-adds (G)')
            else:
                costs.set_yticklabels([])
        figure.supxlabel('diffusion steps S', fontsize=7)
        handles = [panels[0].lines[0], costs.patches[0]]
        figure.legend(handles, ['metric', 'multiply-adds'], loc='outside upper center', ncols=2,
                      frameon=False)
    return figure


def _draw_panel(axes: Axes, key: str, rows: Sequence[StepRow]) -> Axes:
    """Draw one metric; return the axes of the multiply-adds."""
    costs = axes.twinx()
    costs.bar([row.steps for row in rows], [row.macs / 1e9 for row in rows], width=0.6,
              color='0.88', edgecolor='0.6', linewidth=0.5, hatch='////')
    costs.set_ylim(0, 1.15 * max(row.macs for row in rows) / 1e9)
    axes.set_zorder(costs.get_zorder() + 1)  # draw the line over the bars
    axes.patch.set_visible(False)
    points = [(row.steps, score) for row in rows if (score := row.method.score(key))]
    axes.errorbar([steps for steps, _ in points], [score.mean for _, score in points],
                  yerr=[score.std or 0 for _, score in points], color='black', marker='o',
                  capsize=2, elinewidth=0.8)
    axes.margins(y=0.15)
    axes.set_xticks([row.steps for row in rows])
    better = one_direction(key, [run for row in rows for run in row.method.runs]) is True
    axes.set_title(f'{key.replace("/", " ")} {ARROWS[better]}')
    return costs
