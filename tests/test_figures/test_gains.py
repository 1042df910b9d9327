"""Fig. 8 from result files."""

import math

import numpy as np
import pytest

from mtpsl.analysis.figures import draw_gains, read_gains, tell_other_ways

METRICS = {'semseg/mIoU': 40.0, 'normal/mErr': 20.0, 'boundary/odsF': None,
           'initial/semseg/mIoU': 30.0, 'initial/normal/mErr': 24.0, 'initial/boundary/odsF': 5.0,
           'initial/delta_m': 3.0, 'saliency/maxF': 60.0, 'initial/saliency/maxF': math.nan}


def test_a_file_and_its_folder(write):
    write('run/metrics.json', METRICS)
    name, gains = read_gains(write('run/metrics.json', METRICS).removesuffix('/metrics.json'))
    assert name == 'run' and list(gains) == ['semseg/mIoU', 'normal/mErr']
    assert (gains['semseg/mIoU'].initial.mean, gains['semseg/mIoU'].denoised.mean) == (30, 40)


def test_seeds(write):
    files = write('a.json', METRICS), write('b.json', METRICS | {'initial/semseg/mIoU': 34.0})
    name, gains = read_gains(f'PASCAL={",".join(files)}')
    initial = gains['semseg/mIoU'].initial
    assert name == 'PASCAL' and (initial.mean, initial.std) == (32, pytest.approx(8 ** 0.5))
    bars = [line.get_segments()[0][:, 1] for line in draw_gains({name: gains}).axes[0].collections]
    np.testing.assert_allclose(bars, [(32 - 8 ** 0.5, 32 + 8 ** 0.5), (40, 40)])


def test_the_drawing(write):
    name, gains = read_gains(f'NYUD={write("a.json", METRICS)}')
    figure = draw_gains({name: gains, 'again': {'normal/mErr': gains['normal/mErr']}})
    assert [axes.get_title() for axes in figure.axes] == [
        'NYUD\nsemseg mIoU ↑', 'NYUD\nnormal mErr ↓', 'again\nnormal mErr ↓']
    points = {line.get_markerfacecolor(): tuple(map(float, line.get_xydata()[0]))
              for line in figure.axes[0].lines if line.get_marker() == 'o'}
    assert points == {'white': (0, 30), 'black': (1, 40)}
    assert {text.get_text() for text in figure.axes[0].texts} == {'30.00', '40.00'}


def test_a_task_that_is_not_registered(write):
    _, gains = read_gains(write('a.json', {
        'albedo/psnr': 2.0, 'initial/albedo/psnr': 3.0, 'higher_is_better': {'albedo/psnr': True}}))
    assert draw_gains({'x': gains}).axes[0].get_title() == 'albedo psnr ↑'


def test_figures_of_a_named_set(write):
    _, gains = read_gains(write('a.json', {'rooms/depth/absErr': 2.0, 'b/initial/depth/absErr': 1.0,
                                           'rooms/initial/depth/absErr': 3.0}))
    assert gains['rooms/depth/absErr'].initial.mean == 3
    assert draw_gains({'x': gains}).axes[0].get_title() == 'rooms depth absErr ↓'


def test_ten_tasks_of_three_data_sets_fit_in_two_rows(write):
    _, gains = read_gains(write('a.json', METRICS))
    ten = {f'set{i}': gains for i in range(5)}
    figure = draw_gains(ten)
    tops = {round(axes.get_position().y0, 3) for axes in figure.axes}
    assert len(figure.axes) == 10 and len(tops) == 2


def test_results_without_initial_predictions(write):
    with pytest.raises(ValueError, match=r'a\.json has no figures of initial predictions'):
        read_gains(write('a.json', {'semseg/mIoU': 1.0}))
    with pytest.raises(ValueError, match='is a set of results, not a metrics.json'):
        read_gains(write('b.json', dict(results=[dict(method='a', metrics=METRICS)])))
    with pytest.raises(ValueError, match='hold different tasks'):
        read_gains(f'x={write("c.json", METRICS)},' + write(
            'd.json', {'semseg/mIoU': 1.0, 'initial/semseg/mIoU': 1.0}))


@pytest.mark.parametrize(('other', 'seeds', 'models'), [
    (dict(tta=['1', '1 mirrored']), 1, 1), ({'digest of the images': 'b'}, 1, 0), ({}, 0, 0)])
def test_runs_that_were_tested_otherwise_are_told(other, seeds, models, write, warned) -> None:
    """Seeds of one model must be of the same images; models may be of several datasets."""
    usual = {'tta': None, 'digest of the images': 'a'}
    files = [write(f'{name}/metrics.json', METRICS | {'semseg/mIoU': figure, 'tested': tested})
             for name, figure, tested in (('a', 40.0, usual), ('b', 41.0, usual | other))]
    read_gains(f'x={",".join(files)}')
    assert len(warned) == seeds and all('not tested alike' in line for line in warned)
    tell_other_ways([f'x={files[0]}', f'y={files[1]}'])
    assert len(warned) == seeds + models


def test_a_run_that_is_there_twice_is_refused_and_a_copy_told(write, warned) -> None:
    file, copy = (write(f'{name}/metrics.json', METRICS) for name in ('a', 'b'))
    with pytest.raises(ValueError, match='a/metrics.json is given twice in .*each run counts once'):
        read_gains(f'x={file},{file.removesuffix("/metrics.json")}')
    read_gains(f'x={file},{copy}')
    tell_other_ways([f'x={file},{copy}'])
    assert len(warned) == 1 and 'is one a copy of the other?' in warned[0]


def test_seeds_of_differently_set_tasks_are_told(write, warned) -> None:
    files = [write(f'{kind}/metrics.json', METRICS | {
        'semseg/mIoU': figure, 'task_options': dict(depth=dict(type=kind))})
        for kind, figure in (('Depth', 40.0), ('InverseDepth', 41.0))]
    read_gains(f'x={",".join(files)}')
    assert len(warned) == 1 and 'depth has other options in other rows' in warned[0]
