"""Fig. 8: the initial predictions' metrics against the denoised ones', all tasks."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtpsl.analysis.comparison import copies
from mtpsl.analysis.result_files import read_results
from mtpsl.analysis.results import Method, Result, Score, one_direction, summarize
from mtpsl.evaluation.table import ARROWS, figure
from mtpsl.system.arguments import split_name, split_paths
from mtpsl.system.choices import COLUMN, PAGE

from .runs import run_title, tell, tell_notes, tell_other_tests
from .style import paper_style

ACROSS = 5  # panels at most


@dataclass(frozen=True)
class Gain:
    """A primary metric of one model before and after denoising, over its seeds."""

    initial: Score
    denoised: Score
    higher_is_better: bool


def read_gains(text: str) -> tuple[str, dict[str, Gain]]:
    """Title and figures, by ``<task>/<metric>``, from ``[NAME=]RUN[,RUN...]``.

    Args:
        text: runs are work dirs or ``metrics.json`` files; several are seeds.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: no result file, one without initial predictions or twice, seeds of different
            tasks.
    """
    name, results = _read_model(text)
    tell_notes(*results)
    files = [result.file for result in results]
    twice = [file for file in files if sum(Path(file).samefile(one) for one in files) > 1]
    if twice:
        raise ValueError(f'{twice[0]} is given twice in {text!r}; each run counts once')
    tell_other_tests([Method(name or files[0], tuple(results))])
    pairs = [_pairs(result) for result in results]
    if any(set(pair) != set(pairs[0]) for pair in pairs):
        raise ValueError(f'the result files of {text!r} hold different tasks')
    return name or run_title(files[0]), {
        key: Gain(summarize([pair[key][0] for pair in pairs]),
                  summarize([pair[key][1] for pair in pairs]), one_direction(key, results) is True)
        for key in pairs[0]}


def tell_other_ways(texts: Sequence[str]) -> None:
    """Warn of models, each as :func:`read_gains` reads it, that were tested in other ways.

    And of runs, of one model or of two, that are copies.
    """
    models = [_read_model(text) for text in texts]
    methods = [Method(name or run_title(results[0].file), tuple(results))
               for name, results in models]
    tell(copies(methods))
    tell_other_tests(methods, of_one_set=False)


def _read_model(text: str) -> tuple[str, list[Result]]:
    """The name, '' where none is given, and the results of the seeds."""
    name, paths = split_name(text)
    return name, [_read_result(path) for path in split_paths(paths)]


def _read_result(file: str) -> Result:
    result = read_results(file)[0]
    if result.index is not None:
        raise ValueError(f'{file} is a set of results, not a metrics.json')
    return result


def _pairs(result: Result) -> dict[str, tuple[float, float]]:
    """(initial, denoised) of the primary metrics that have both."""
    file, final = result.file, result.metrics
    with open(file, encoding='utf-8') as content:
        metrics = json.load(content)
    initial = {key: metrics.get('/'.join([*key.split('/')[:-2], 'initial', *key.split('/')[-2:]]))
               for key in final}
    pairs = {key: (value, final[key]) for key, value in initial.items()
             if isinstance(value, int | float) and math.isfinite(value)}
    if not pairs:
        raise ValueError(f'{file} has no figures of initial predictions (initial/<task>/<metric>);'
                         " tools/test.py writes them of a DiffusionMTL that has 'initial' among "
                         'model.outputs')
    return pairs


def draw_gains(models: Mapping[str, Mapping[str, Gain]]) -> Figure:
    """A panel a metric: from the initial prediction (hollow) to the denoised one (filled).

    Points rather than bars, whose common zero would hide what denoising adds.

    Args:
        models: title, such as the dataset -> ``<task>/<metric>`` -> figures.
    """
    panels = [(title, key, gain) for title, gains in models.items() for key, gain in gains.items()]
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    with paper_style():
        canvas = Figure(figsize=(COLUMN if across <= 3 else PAGE, 1.35 * down),
                        layout='constrained')
        every = list(canvas.subplots(down, across, squeeze=False).flat)
        for axes, (title, key, gain) in zip(every, panels):
            arrow = ARROWS[gain.higher_is_better]
            heading = f'{title}\n' if len(models) > 1 else ''
            axes.set_title(f'{heading}{key.replace("/", " ")} {arrow}')
            _draw_gain(axes, gain)
        for axes in every[len(panels):]:
            axes.remove()
    return canvas


def _draw_gain(axes: Axes, gain: Gain) -> None:
    scores = gain.initial, gain.denoised
    means = [score.mean for score in scores]
    axes.plot((0, 1), means, color='0.5', linewidth=0.8, zorder=1)
    for x, score, fill in zip((0, 1), scores, ('white', 'black')):
        axes.errorbar(x, score.mean, yerr=score.std or 0, marker='o', markersize=5, color='black',
                      markerfacecolor=fill, capsize=2, elinewidth=0.8)
        above = score.mean >= sum(means) / 2
        axes.annotate(figure(score.mean), (x, score.mean), (0, 6 if above else -6),
                      textcoords='offset points', ha='center', va='bottom' if above else 'top',
                      fontsize=6)
    axes.set_xticks((0, 1), ('initial', 'denoised'))
    axes.margins(x=0.4, y=0.45)
    axes.locator_params(axis='y', nbins=4)
