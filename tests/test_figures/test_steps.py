"""Fig. 6 from configs and result files."""

import shutil

import numpy as np
import pytest

from mtpsl.analysis.figures import draw_steps, read_step_row
from mtpsl.analysis.figures.steps import StepRow
from mtpsl.analysis.results import Method, Result

METRICS = {'semseg/mIoU': 40.0, 'saliency/maxF': 70.0, 'initial/semseg/mIoU': 1.0}


def row(steps: int, *scores: dict, macs: int = 10 ** 9) -> StepRow:
    runs = tuple(Result('m', metrics, f'{steps}.{i}') for i, metrics in enumerate(scores))
    return StepRow(steps, macs * steps, Method('m', runs), f'run{steps}')


def test_each_step_costs_the_same(config, write):
    seeds = ','.join(write(f'{seed}/metrics.json', METRICS | {'semseg/mIoU': value})
                     for seed, value in enumerate((10.0, 14.0)))
    rows = [read_step_row(f'{config}={seeds}', {'model.diffusion.schedule.num_steps': steps})
            for steps in (1, 2, 3)]
    assert [row.steps for row in rows] == [1, 2, 3]
    first, second, third = (row.macs for row in rows)
    assert second - first == third - second > 0
    score = rows[0].method.score('semseg/mIoU')
    assert (score.mean, score.std, score.runs) == (12, pytest.approx(8 ** 0.5), 2)


def test_a_work_dir_is_enough(config, write, tmp_path):
    write('work/metrics.json', METRICS)
    shutil.copy(config, tmp_path / 'work')
    assert read_step_row(str(tmp_path / 'work')).steps == 3
    shutil.copy(config, tmp_path / 'work/other.py')
    with pytest.raises(ValueError, match=r'holds several configs, .*diffusion\.py, .*other\.py'):
        read_step_row(str(tmp_path / 'work'))


def test_figures_of_another_number_of_steps_are_refused(config, write, tmp_path):
    """As of a test with ``--cfg-options model.diffusion.schedule.num_steps``."""
    path = write('work/metrics.json', METRICS | {'tested': {'denoising steps': 3}})
    assert read_step_row(f'{config}={path}').steps == 3
    write('work/metrics.json', METRICS | {'tested': {'denoising steps': 4}})
    with pytest.raises(ValueError, match='metrics.json has the figures of 4 denoising steps, .*'
                       r'diffusion\.py has 3; CONFIG=METRICS with a config of 4 steps'):
        read_step_row(f'{config}={path}')


def test_the_drawing():
    assert draw_steps([row(1, {'a/depth/absErr': 1.0})]).axes[0].get_title() == 'a depth absErr ↓'
    worse, better = {'depth/absErr': 0.2, 'semseg/mIoU': 50.0}, {'depth/absErr': 0.1}
    figure = draw_steps([row(3, better), row(1, worse, worse | {'semseg/mIoU': 54.0})])
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == ['depth absErr ↓', 'semseg mIoU ↑']
    line = panels['depth absErr ↓'].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [(1, 0.2), (3, 0.1)])
    np.testing.assert_allclose(panels['semseg mIoU ↑'].lines[0].get_xydata(), [(1, 52)])
    bars = [axes for axes in figure.axes if axes.patches]
    assert len(bars) == 2
    assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars[0].patches] == [
        (1, 1), (3, 3)]
    (segments,) = panels['semseg mIoU ↑'].collections[0].get_segments()
    np.testing.assert_allclose(segments[:, 1], [52 - 8 ** 0.5, 52 + 8 ** 0.5])


def test_two_of_as_many_steps():
    score = {'semseg/mIoU': 1.0}
    with pytest.raises(ValueError, match='run2 and run2 both have 2 steps'):
        draw_steps([row(2, score), row(1, score), row(2, score)])


def test_what_is_no_row(config, baseline, write, tmp_path):
    result = write('metrics.json', METRICS)
    with pytest.raises(ValueError, match=r'baseline\.py has no denoising steps'):
        read_step_row(f'{baseline}={result}')
    with pytest.raises(ValueError, match='expected a work dir or CONFIG=METRICS, got'):
        read_step_row(config)
    with pytest.raises(FileNotFoundError, match=r'there is no config \(\.py\) in'):
        read_step_row(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r'there is no result file no\.json'):
        read_step_row(f'{config}=no.json')
