"""The synthetic benchmark's arithmetic by hand, its report and plot, its configs."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from matplotlib.figure import Figure

from mtpsl.analysis.benchmark.benchmark_curves import draw_stage_curves, mean_curve, overtaken
from mtpsl.analysis.benchmark.benchmark_report import (
    Ordering,
    orderings,
    plot,
    result_set,
    stage_table,
    write_report,
)
from mtpsl.analysis.benchmark.methods import (
    BASELINE,
    METHODS,
    PAPER_ORDERINGS,
    RESIDUAL_ORDERINGS,
    config_options,
)
from mtpsl.analysis.benchmark.record import Record, Run
from mtpsl.analysis.comparison import compare
from mtpsl.analysis.result_files import read_results
from mtpsl.analysis.results import group_by_method
from mtpsl.engine import load_config
from mtpsl.registry import MODELS
from mtpsl.system.choices import PASCAL_TASKS as TASKS
from mtpsl.system.config_arguments import config_parser

from .conftest import ROOT

HEADLINES = dict(semseg='mIoU', parsing='mIoU', saliency='maxF', normal='mErr', boundary='odsF')
PREDICTION, MTL = 'DiffusionMTL (Prediction)', 'MTL Baseline'


def finished(folder: Path, method: str, seed: int, setting: str = 'onelabel',
             **figures: float | None) -> Run:
    """A run as the record has it after ``tools/test.py`` left its file of metrics."""
    place = folder / f'{method.replace("/", "")}_{setting}_{seed}_{"".join(figures)}'
    place.mkdir(exist_ok=True)
    (place / 'metrics.json').write_text(json.dumps(
        {f'{task}/{HEADLINES[task]}': value for task, value in figures.items()}
        | {'semseg/pixelAcc': 77.0, 'semseg/IoU.sky': 3.0}))
    record = Record(place / 'runs.json', {})
    record.add('run', method, setting, seed, place)
    return record.runs['run']


def table(folder: Path, runs: list[Run], baseline: str = BASELINE):
    """What ``orderings`` gets from ``write_report``."""
    results, seeds = result_set(runs)
    (folder / 'set.json').write_text(json.dumps(results))
    methods = group_by_method(read_results(folder / 'set.json'))
    return compare(methods, next(row for row in methods if row.name == baseline)), seeds


# ------------------------------------------------------------------ orderings


@pytest.mark.parametrize('gains, verdict', [
    ([0.1], 'one seed'), ([-0.1], 'one seed'),
    ([1, 2, 3], 'holds'),        # mean 2, standard error 1 / sqrt(3)
    ([-1, -2, -3], 'does not'),
    ([0, 1, 2], 'unclear'),      # mean 1, twice the standard error 1.15
    ([-0.2, -1, 0.3], 'unclear'), ([0, 2], 'unclear'),
    ([1, 3, 1, 3], 'holds'),     # mean 2, twice the standard error 1.15 = the deviation
    ([5, 5], 'holds'), ([0, 0], 'unclear')])
def test_a_verdict_needs_two_standard_errors(gains, verdict):
    assert Ordering('any', gains).verdict == verdict


def made_up(folder: Path) -> list[Run]:
    """Single-task means are 50 and 20, so that the gains in percent can be reckoned in the head."""
    figures = {
        (BASELINE, 0): (49, 19), (BASELINE, 1): (51, 21),
        (MTL, 0): (55, 19), (MTL, 1): (50, 22),                # 7.5 and -5
        (PREDICTION, 0): (60, 18), (PREDICTION, 1): (45, 21),  # 15 and -7.5
        ('XTC', 0): (56, 19), ('XTC', 1): (51, 22),            # 8.5 and -4
        ('one step', 0): (65, 17), ('one step', 1): (50, 20)}  # 22.5 and 0
    return [finished(folder, method, seed, semseg=semseg, normal=normal)
            for (method, seed), (semseg, normal) in figures.items()]


def test_gains_are_differences_of_delta_m_seed_by_seed(tmp_path):
    found = orderings(*table(tmp_path, made_up(tmp_path)))
    assert {one.name: one.gains for one in found} == {
        'diffusion over baseline (Prediction)': pytest.approx([7.5, -2.5]),
        'both steps over one': pytest.approx([-7.5, -7.5]),
        'XTC over baseline': pytest.approx([1, 1])}
    assert [one.verdict for one in found] == ['unclear', 'does not', 'holds']


def test_methods_are_compared_on_the_seeds_that_both_have(tmp_path):
    runs = [one for one in made_up(tmp_path) if one[:3:2] not in [(PREDICTION, 0), ('XTC', 1)]]
    found = {one.name: one.gains for one in orderings(*table(tmp_path, runs))}
    assert found['diffusion over baseline (Prediction)'] == pytest.approx([-2.5])
    assert found['both steps over one'] == pytest.approx([-7.5])
    runs = [one for one in runs if one[:3:2] != ('one step', 1)]
    assert 'both steps over one' not in {
        one.name for one in orderings(*table(tmp_path, runs))}


def test_a_method_that_lacks_a_figure_is_in_no_ordering(tmp_path):
    runs = [finished(tmp_path, 'XTC', one.seed, semseg=60, normal=None) if one.method == 'XTC'
            else one for one in made_up(tmp_path)]
    assert {one.name for one in orderings(*table(tmp_path, runs))} == {
        'diffusion over baseline (Prediction)', 'both steps over one'}


# ------------------------------------------------------------------ result set and report


def single_task(folder: Path, seed: int, *left_out: str, setting: str = 'onelabel') -> list[Run]:
    return [finished(folder, BASELINE, seed, setting, **{task: 10.0 * (k + 1) + seed})
            for k, task in enumerate(TASKS) if task not in left_out]


def everything(folder: Path, method: str, seed: int, factor: float,
               setting: str = 'onelabel') -> Run:
    return finished(folder, method, seed, setting, **{
        task: 10.0 * (k + 1) * factor for k, task in enumerate(TASKS)})


def test_single_tasks_are_joined_by_setting_and_seed(tmp_path):
    runs = [*single_task(tmp_path, 0), *single_task(tmp_path, 1),
            *single_task(tmp_path, 0, setting='random'), everything(tmp_path, 'SS', 1, 2.0)]
    results, seeds = result_set(runs)
    assert seeds == [0, 1, 0, 1]
    assert [(one['setting'], one['method'], one['metrics']['normal/mErr'])
            for one in results['results']] == [
        ('synthetic_onelabel', BASELINE, 40), ('synthetic_onelabel', BASELINE, 41),
        ('synthetic_random', BASELINE, 40), ('synthetic_onelabel', 'SS', 80)]
    for one in results['results']:
        assert one['metrics'].keys() == {f'{task}/{HEADLINES[task]}' for task in TASKS}


def test_a_seed_that_lacks_tasks_is_left_out(tmp_path):
    runs = [*single_task(tmp_path, 0, 'normal'), *single_task(tmp_path, 1),
            *single_task(tmp_path, 2, 'semseg', 'normal'), everything(tmp_path, MTL, 0, 2.0)]
    results, seeds = result_set(runs)
    assert [one['method'] for one in results['results']] == [BASELINE, MTL] and seeds == [1, 0]
    assert results['results'][0]['metrics']['semseg/mIoU'] == 11


@pytest.fixture
def no_plot(monkeypatch):
    """It takes a second."""
    monkeypatch.setattr('mtpsl.analysis.benchmark.benchmark_report.plot',
                        lambda comparisons: Figure())


def test_a_report_without_all_single_tasks_has_no_delta_m(tmp_path, no_plot):
    for left_out, shown in ((['normal'], False), ([], True)):
        text = write_report(tmp_path, [*single_task(tmp_path, 0, *left_out),
                                       everything(tmp_path, MTL, 0, 2.0),
                                       everything(tmp_path, PREDICTION, 0, 3.0)])
        assert ('delta_m' in text) == ('diffusion over baseline' in text) == shown
        assert 'MTL Baseline' in text and '### onelabel' in text
    # Doubled figures are 100 % better for four tasks, 100 % worse for the error; tripled 200 %.
    assert '+60.00%' in text and '**+120.00%**' in text
    assert '| paper: diffusion over baseline (Prediction) | +60.00 | 1 | one seed |' in text
    assert (tmp_path / 'report.md').read_text() == text


def test_a_figure_of_zero_leaves_no_delta_m_but_a_report(tmp_path, no_plot):
    runs = [*single_task(tmp_path, 0, 'semseg'), finished(tmp_path, BASELINE, 0, semseg=0.0),
            everything(tmp_path, MTL, 0, 2.0)]
    text = write_report(tmp_path, runs)
    assert 'delta_m' not in text and '0.0000' in text


def test_the_report_has_a_section_a_setting_with_its_seeds(tmp_path):
    runs = [one for setting, shift in (('onelabel', 0), ('random', 1)) for seed in range(2)
            for one in (*single_task(tmp_path, seed, setting=setting),
                        everything(tmp_path, MTL, seed, 1.0 + shift, setting),
                        everything(tmp_path, 'XTC', seed, 2.0 + shift + seed / 8, setting))]
    text = write_report(tmp_path, runs)
    assert text.index('### onelabel') < text.index('### random')
    assert '| XTC (2 runs) ' in text and text.count('| paper: XTC over baseline | +') == 2
    assert ' ± ' in text
    picture = cv2.imread(str(tmp_path / 'plot.png'))
    assert picture.shape[1] > 1500 and (picture < 100).mean() > 0.005
    assert (tmp_path / 'plot.svg').read_text().startswith('<?xml')


@pytest.mark.parametrize('settings', [('onelabel',), ('onelabel', 'random')])
def test_the_plot_shows_mean_and_deviation_at_the_methods_line(settings, tmp_path):
    comparisons = {}
    for setting in settings:
        runs = [one for seed in range(2) for one in (
            *single_task(tmp_path, seed), everything(tmp_path, MTL, seed, 2.0 + seed))]
        comparisons[setting] = table(tmp_path, runs)[0]
    figure = plot(comparisons)
    assert [axis.get_title() for axis in figure.axes] == [
        'semseg/mIoU ↑', 'parsing/mIoU ↑', 'saliency/maxF ↑', 'normal/mErr ↓', 'boundary/odsF ↑',
        'delta_m ↑']
    axis = figure.axes[3]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [BASELINE, MTL]
    offsets = []
    for container in axis.containers:
        points, _, (bars,) = container
        assert list(points.get_xdata()) == [40.5, 100]  # 40 and 41; 80 and 120
        widths = [segment[1, 0] - segment[0, 0] for segment in bars.get_segments()]
        assert widths == pytest.approx([2 * 0.5 ** 0.5, 2 * 800 ** 0.5])
        offsets.append([float(y) - line for line, y in enumerate(points.get_ydata())])
    assert len(offsets) == len(settings)
    assert all(one[0] == pytest.approx(one[1]) for one in offsets)
    assert sum(one[0] for one in offsets) == pytest.approx(0)  # around the line's tick
    assert len({round(one[0], 3) for one in offsets}) == len(settings)
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(settings)


# ------------------------------------------------------------------ record and stages


RESIDUAL = 'DiffusionMTL (Prediction, residual)'


def staged(method: str, seed: int, *points: tuple[int, float, float]) -> Run:
    """A run whose every task has the initial and final figures of the last of the points."""
    curves = [(step, {f'{prefix}{task}/{HEADLINES[task]}': value
                      for prefix, value in (('initial/', initial), ('', final))
                      for task in TASKS}) for step, initial, final in points]
    return Run(method, 'onelabel', seed, curves[-1][1], curves)


def test_the_record_keeps_figures_and_curves_and_carries_them(tmp_path):
    figures = {'semseg/mIoU': 12.345, 'initial/semseg/mIoU': 10.0, 'semseg/IoU.sky': 1.0,
               'normal/mErr': None, 'delta_m': 3.0}
    (tmp_path / 'metrics.json').write_text(json.dumps(figures))
    (tmp_path / 'curves.json').write_text(
        json.dumps(dict(step=50, iter=50, loss=1.0)) + '\n'
        + json.dumps(dict(step=2, after=100) | figures) + '\n')
    record = Record(tmp_path / 'kept' / 'runs.json', dict(epochs=3))
    record.add('a_seed1', RESIDUAL, 'onelabel', 1, tmp_path)
    again = Record(tmp_path / 'kept' / 'runs.json', dict(epochs=3)).runs['a_seed1']
    assert again.metrics == {'semseg/mIoU': 12.35, 'initial/semseg/mIoU': 10.0}
    assert [list(point) for point in again.curves] == [[100, dict(again.metrics)]]
    assert again[:3] == (RESIDUAL, 'onelabel', 1)


def test_two_benchmarks_at_once_keep_the_runs_of_both(tmp_path):
    (tmp_path / 'metrics.json').write_text('{"semseg/mIoU": 1.0}')
    (tmp_path / 'curves.json').write_text('')
    one, two = Record(tmp_path / 'runs.json', {}), Record(tmp_path / 'runs.json', {})
    for record, seed in ((one, 1), (two, 2), (one, 3)):
        record.add(f'a_seed{seed}', RESIDUAL, 'onelabel', seed, tmp_path)
    assert list(Record(tmp_path / 'runs.json', {}).runs) == ['a_seed1', 'a_seed2', 'a_seed3']


@pytest.mark.parametrize('text, message', [
    ('{"sizes": {"epochs": 4}, "runs": {}}', 'holds a benchmark with --epochs 4, not 3'),
    ('{"runs": {}}', "is no record of a benchmark: KeyError('sizes')"),
    ('[1]', 'is no record'), ('{', 'is no record'),
    ('{"sizes": {"epochs": 3}, "runs": {"a": {"speed": 1}}}', 'is no record')])
def test_another_file_is_no_record(text, message, tmp_path):
    (tmp_path / 'runs.json').write_text(text)
    with pytest.raises(ValueError, match='runs.json') as error:
        Record(tmp_path / 'runs.json', dict(epochs=3))
    assert message in str(error.value)
    assert (tmp_path / 'runs.json').read_text() == text


def test_stages_are_compared_over_the_seeds():
    runs = [staged(RESIDUAL, 0, (5, 10, 12)), staged(RESIDUAL, 1, (5, 20, 26)),
            Run(MTL, 'onelabel', 0, {'semseg/mIoU': 1.0})]
    header, _, row = stage_table(runs).splitlines()
    assert header.startswith('| method | semseg mIoU ↑ |') and 'normal mErr ↓' in header
    # 15 before; +2 and +6 in the mean +4, their standard error sqrt(8) / sqrt(2)
    assert row == f'| {RESIDUAL} |' + ' 15.00, +4.00 ± 2.00 |' * 5
    assert stage_table(runs[2:]) == ''


def test_overtaking_is_for_good_and_knows_what_is_better():
    runs = [staged(RESIDUAL, seed, (10, 5, 6), (20, 5, 4), (30, 5, 6 + seed), (40, 5, 7))
            for seed in range(2)]
    assert mean_curve(runs, 'semseg/mIoU') == [(10, 6), (20, 4), (30, 6.5), (40, 7)]
    assert overtaken(runs, 'semseg/mIoU', True) == 30
    assert overtaken(runs, 'normal/mErr', False) is None
    level = [staged(RESIDUAL, 0, (10, 5, 6), (20, 5, 5))]
    assert overtaken(level, 'semseg/mIoU', True) is None
    # A step that one seed has not measured is left out.
    assert mean_curve([runs[0], level[0]], 'semseg/mIoU') == [(10, 6), (20, 4.5)]


def test_the_curves_show_both_stages_of_each_method(tmp_path):
    runs = [staged(method, seed, (10, 1, 2 + seed), (20, 3, 4 + seed))
            for method in (PREDICTION, RESIDUAL) for seed in range(2)]
    figure = draw_stage_curves([*runs, Run(MTL, 'onelabel', 0, {'semseg/mIoU': 1.0})])
    assert [axes.get_title() for axes in figure.axes] == [
        'semseg mIoU ↑', 'parsing mIoU ↑', 'saliency maxF ↑', 'normal mErr ↓', 'boundary odsF ↑']
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {PREDICTION, f'{PREDICTION}, initial', RESIDUAL, f'{RESIDUAL}, initial'}
    assert list(lines[RESIDUAL].get_ydata()) == [2.5, 4.5]
    assert list(lines[f'{RESIDUAL}, initial'].get_ydata()) == [1, 3]
    assert lines[RESIDUAL].get_color() == lines[f'{RESIDUAL}, initial'].get_color()
    assert draw_stage_curves([Run(MTL, 'onelabel', 0, {'semseg/mIoU': 1.0})]) is None
    text = write_report(tmp_path, runs)
    assert f'| {RESIDUAL} | 10 | 10 | 10 | not | 10 |' in text
    assert cv2.imread(str(tmp_path / 'curves_onelabel.png')) is not None


def test_each_method_of_the_benchmark_has_a_curve():
    runs = [staged(method, 0, (10, 1, 2), (20, 3, 4)) for method in METHODS if method != BASELINE]
    figure = draw_stage_curves(runs)
    shown = {line.get_label() for axes in figure.axes for line in axes.lines}
    assert {run.method for run in runs} <= shown and len(figure.axes) == 15


# ------------------------------------------------------------------ configs


@pytest.mark.parametrize('config', [
    template.format(setting=setting, task=task) for template in METHODS.values()
    for setting in ('onelabel', 'random') for task in (TASKS if '{task}' in template else [''])
    if setting == 'onelabel' or task in ('semseg', '') and 'steps1' in template])
def test_the_options_give_every_config_the_sizes(config):
    options = config_options(config, Path('/some/where'), size=64, channels=8, batch=3, epochs=9,
                             workers=2, seed=5)
    path = str(ROOT / f'configs/synthetic/{config}.py')
    cfg = load_config(path, config_parser('').parse_args(
        [path, '--cfg-options', *options]).cfg_options)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        assert loader.dataset.data_root == '/some/where'
        assert (loader.num_workers, loader.persistent_workers) == (2, True)
    crop, = [step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    assert tuple(crop.size) == tuple(cfg.model.data_preprocessor.size) == (64, 64)
    assert (cfg.train_dataloader.batch_size, cfg.randomness.seed) == (3, 5)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[0].end == 9
    assert cfg.train_cfg.val_begin > 9 and cfg.default_hooks.checkpoint.interval == 1
    if config.startswith('xtc'):
        assert cfg.param_scheduler[1].step_size == 3
    assert list(cfg.tasks) == [config.split('_')[3]] if 'single' in config else list(TASKS)
    widths = dict(
        backbone=dict(stem_channels=8, base_channels=8), decoder=dict(channels=8),
        neck=dict(in_channels=(8, 16, 32, 64), out_channels=8), diffusion=dict(channels=8),
        regularizer=dict(channels=(4, 8, 16, 32, 64)))
    if config.startswith('hitts'):
        widths['decoder'] |= dict(in_channels=(8, 16, 32, 64), head_channels=8)
    for part, options in widths.items():
        if part in cfg.model and not config.startswith('ss'):
            assert {key: cfg.model[part][key] for key in options} == options
    assert ('diffusion' in cfg.model) == config.startswith('diffusionmtl')
    with torch.no_grad():
        MODELS.build(cfg.model).eval()(torch.zeros(1, 3, 64, 64))


def test_every_method_has_its_configs_and_options():
    assert {name for pair in (PAPER_ORDERINGS | RESIDUAL_ORDERINGS).values() for name in pair
            } <= set(METHODS)
    names = {template.format(setting=setting, task=task) for template in METHODS.values()
             for setting in ('onelabel', 'random') for task in TASKS}
    assert all((ROOT / f'configs/synthetic/{name}.py').is_file() for name in names)
    options = config_options('ss_onelabel', Path('x'), size=96, channels=4, batch=1, epochs=1,
                             workers=0, seed=0)
    assert 'train_dataloader.persistent_workers=False' in options
    assert not any('diffusion' in option or 'regularizer' in option for option in options)
