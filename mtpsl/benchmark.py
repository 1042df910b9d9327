"""The methods of the synthetic benchmark, and its report: table, orderings, plot, result set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

from mtpsl.choices import PASCAL_TASKS as TASKS
from mtpsl.storage.files import atomically, write_json, write_text

# The reports import what they need themselves: the command line needs the methods only.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mtpsl.evaluation.comparison import Comparison

BASELINE = 'Single-Task'
# Row of the table -> its config below configs/synthetic.
METHODS = {
    BASELINE: 'single_task_{setting}_{task}',
    'MTL Baseline': 'mtl_baseline_{setting}',
    'SS': 'ss_{setting}',
    'XTC': 'xtc_{setting}',
    'JTR': 'jtr_{setting}',
    'DiffusionMTL (Prediction)': 'diffusionmtl_{setting}',
    'DiffusionMTL (Feature)': 'diffusionmtl_{setting}_feature',
    'w/o Diffusion': 'diffusionmtl_{setting}_wo-diffusion',
    'w/o Multi-Task Cond': 'diffusionmtl_{setting}_wo-cond',
    'one step': 'diffusionmtl_{setting}_steps1',
}
# What the paper finds: the first of each pair has the higher Delta_m.
ORDERINGS = {
    'diffusion over baseline (Prediction)': ('DiffusionMTL (Prediction)', 'MTL Baseline'),
    'diffusion over baseline (Feature)': ('DiffusionMTL (Feature)', 'MTL Baseline'),
    'diffusion over plain refinement': ('DiffusionMTL (Prediction)', 'w/o Diffusion'),
    'conditioning helps': ('DiffusionMTL (Prediction)', 'w/o Multi-Task Cond'),
    'both steps over one': ('DiffusionMTL (Prediction)', 'one step'),
    'XTC over baseline': ('XTC', 'MTL Baseline'),
}


def config_options(config: str, data: Path, *, size: int, channels: int, batch: int, epochs: int,
                   workers: int, seed: int) -> list[str]:
    """``--cfg-options`` that give a synthetic config the benchmark's sizes.

    Args:
        config: file below ``configs/synthetic``, without suffix.
        data: folder of the scenes.
        size: side of the square training crops in pixels.
        channels: C of the neck, the decoders and the denoiser, and of the backbone's first stage.
        batch: images of a training step.
        epochs: of training; the learning rate decays over all of them.
        workers: data loading processes.
        seed: of the run.
    """
    stages = tuple(channels * factor for factor in (1, 2, 4, 8))
    options = {
        'data_preprocessor.size': (size, size), 'randomness.seed': seed,
        'train_dataloader.batch_size': batch,
        'train_dataloader.dataset.pipeline.3.size': (size, size),  # of RandomCrop
        'train_cfg.max_epochs': epochs, 'train_cfg.val_begin': epochs + 1,
        'model.backbone.stem_channels': channels, 'model.backbone.base_channels': channels,
        'model.neck.in_channels': stages, 'model.neck.out_channels': channels,
        'model.decoder.channels': channels, 'default_hooks.checkpoint.interval': epochs,
        'default_hooks.logger.interval': 50, 'test_evaluator.workers': 0}
    for split in ('train', 'val', 'test'):
        options |= {f'{split}_dataloader.dataset.data_root': data,
                    f'{split}_dataloader.num_workers': workers,
                    f'{split}_dataloader.persistent_workers': workers > 0}
    if config.startswith('diffusionmtl'):
        options['model.diffusion.channels'] = channels
    if config.startswith(('xtc', 'jtr')):
        options['model.regularizer.channels'] = (channels // 2, *stages)
    options['param_scheduler.0.end'] = epochs
    if config.startswith('xtc'):
        options['param_scheduler.1.step_size'] = max(epochs // 3, 1)
    return [f'{key}={str(value).replace(" ", "")}' for key, value in options.items()]


class Run(NamedTuple):
    """A finished model: the row it belongs to, its setting, seed and file of metrics."""

    method: str
    setting: str
    seed: int
    metrics: Path


class Ordering(NamedTuple):
    """One of the paper's orderings in one setting.

    Attributes:
        name: see ``ORDERINGS``.
        gains: for each seed, by how much the Delta_m of the first is higher.
    """

    name: str
    gains: list[float]

    @property
    def verdict(self) -> str:
        """'holds' or 'does not'; with several seeds 'unclear' within two standard errors of 0."""
        mean = fmean(self.gains)
        if len(self.gains) > 1 and abs(mean) <= 2 * stdev(self.gains) / len(self.gains) ** 0.5:
            return 'unclear'
        return 'holds' if mean > 0 else 'does not'


def result_set(runs: Sequence[Run]) -> tuple[dict, list[int]]:
    """The runs as a result set, one entry a method, setting and seed; single tasks are joined.

    Where the seeds of a method differ in their tasks, as after a failure of some single-task
    models, those with the most are kept.

    Returns:
        The set, and the seed of each of its results.
    """
    from mtpsl.evaluation import read_results

    entries: dict[tuple[str, str, int], dict[str, float]] = {}
    for run in runs:
        metrics = read_results(run.metrics)[0].metrics
        entries.setdefault((run.setting, run.method, run.seed), {}).update(metrics)
    fullest: dict[tuple[str, str], dict[str, float]] = {}
    for (setting, method, _), metrics in entries.items():
        if len(metrics) > len(fullest.get((setting, method), ())):
            fullest[setting, method] = metrics
    kept = {key: metrics for key, metrics in entries.items()
            if set(metrics) == set(fullest[key[:2]])}
    return dict(
        title='MTPSL on synthetic scenes', source='tools/benchmark_synthetic.py',
        results=[dict(setting=f'synthetic_{setting}', method=method, metrics=metrics)
                 for (setting, method, _), metrics in kept.items()]), [seed for *_, seed in kept]


def orderings(comparison: 'Comparison', seeds: Sequence[int]) -> list[Ordering]:
    """By how much, seed by seed, each of the paper's orderings holds in a table's Delta_m.

    Args:
        comparison: a table with a baseline, of results of one set.
        seeds: the seed of each of the set's results; of two methods the seeds count that both have.
    """
    from mtpsl.evaluation.comparison import DELTA
    from mtpsl.evaluation.delta_m import mean_gain

    rows = {row.method.name: row for row in comparison.rows if DELTA in row.scores}
    columns = {key: better for key, better in comparison.columns.items() if key != DELTA}
    if comparison.baseline is None:
        return []
    reference = {key: comparison.baseline.mean(key) for key in columns}

    def scores(name: str) -> dict[int, float]:
        return {seeds[run.index]: mean_gain(run.metrics, reference, columns)
                for run in rows[name].method.runs if run.index is not None}

    found = []
    for name, pair in ORDERINGS.items():
        if set(pair) <= set(rows):
            first, second = map(scores, pair)
            gains = [first[seed] - second[seed] for seed in first if seed in second]
            found += [Ordering(name, gains)] if gains else []
    return found


def write_report(out: Path, runs: Sequence[Run]) -> str:
    """Write ``results.json``, ``report.md`` and ``plot.svg`` and ``.png`` of what is finished.

    Args:
        out: the benchmark's folder.
        runs: the finished models.

    Returns:
        The text of the report.
    """
    from mtpsl.evaluation import compare, group_by_method, read_results

    results, seeds = result_set(runs)
    write_json(out / 'results.json', results)
    comparisons = {}
    for setting in dict.fromkeys(run.setting for run in runs):
        methods = group_by_method(read_results(out / 'results.json', f'synthetic_{setting}'))
        baseline = [method for method in methods if method.name == BASELINE]
        complete = baseline and len(baseline[0].keys) == len(TASKS) and all(
            baseline[0].mean(key) for key in baseline[0].keys)
        comparisons[setting] = compare(methods, baseline[0] if complete else None)
    text = '\n'.join(_section(*item, seeds) for item in comparisons.items())
    write_text(out / 'report.md', text)
    figure = plot(comparisons)
    for suffix in ('svg', 'png'):
        atomically(out / f'plot.{suffix}', lambda name: figure.savefig(name, dpi=120))
    return text


def _section(setting: str, comparison: 'Comparison', seeds: Sequence[int]) -> str:
    from mtpsl.evaluation import FORMATS

    lines = [f'### {setting}', '', FORMATS['md'](comparison), '']
    found = orderings(comparison, seeds) if comparison.baseline else []
    if found:
        lines += ['| the paper\'s ordering | Delta_m higher by | here |', '| :-- | --: | :-- |']
    for ordering in found:
        spread = f' ± {stdev(ordering.gains):.2f}' if len(ordering.gains) > 1 else ''
        lines.append(f'| {ordering.name} | {fmean(ordering.gains):+.2f}{spread} | '
                     f'{ordering.verdict} |')
    return '\n'.join([*lines, ''])


def plot(comparisons: 'Mapping[str, Comparison]') -> 'Figure':
    """Each column a panel, each method a line: mean and standard deviation of every setting."""
    from matplotlib.figure import Figure

    from mtpsl.evaluation.comparison import DELTA

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
