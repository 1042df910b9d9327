"""Training curves from the records of runs."""

import json

import numpy as np
import pytest

from mtpsl.analysis.figures import curve_figures, draw_curves, read_named, read_run
from mtpsl.analysis.figures.curve_figures import curve, find_losses, smooth

RECORDS = [
    dict(step=1, iter=1, epoch=1, loss=3.0, loss_semseg=2.0, loss_semseg_initial=1.0),
    dict(step=2, iter=2, epoch=1, loss=3.0, loss_semseg=None, loss_normal=4.0, loss_zero=0.0),
    dict(step=1, after=2, **{'normal/mErr': 30.0, 'semseg/mIoU': 20.0, 'normal/rmse': 1.0,
                             'semseg/IoU.car': 1.0, 'initial/semseg/mIoU': 2.0}),
    dict(step=3, iter=3, epoch=2, loss=3.0, loss_semseg=1.0, loss_normal=3.0),
    {'step': 2, 'after': 3, 'normal/mErr': 20.0}]


def test_what_is_drawn_of_a_run():
    assert find_losses({'a': RECORDS}) == ['loss_semseg', 'loss_normal']
    x, y = curve(RECORDS, 'loss_semseg')
    assert x.tolist() == [1, 3] and y.tolist() == [2, 1]
    assert [values.tolist() for values in curve(RECORDS, 'normal/mErr')] == [[2, 3], [30, 20]]


def test_a_task_s_name_may_begin_with_another_s():
    losses = dict.fromkeys(('loss_normal', 'loss_normal_fine', 'loss_normal_fine_initial'), 1.0)
    assert find_losses({'a': [losses]}) == ['loss_normal', 'loss_normal_fine']


def test_smoothing_is_the_mean_of_the_last_values():
    values = np.random.default_rng(0).random(20)
    expected = [values[max(0, i - 3):i + 1].mean() for i in range(20)]
    np.testing.assert_allclose(smooth(values, 4), expected)
    np.testing.assert_allclose(smooth(values, 1), values)


def test_the_drawing():
    figure = draw_curves({'a': RECORDS, 'b': RECORDS[:2]}, window=2)
    titles = [axes.get_title() for axes in figure.axes]
    # In the tasks' order, as the metrics have it.
    assert titles == ['normal loss ↓', 'semseg loss ↓', 'normal mErr ↓', 'semseg mIoU ↑']
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    np.testing.assert_allclose(lines['a'].get_xydata(), [(1, 2), (3, 1.5)])
    np.testing.assert_allclose(lines['b'].get_xydata(), [(1, 2)])
    assert lines['a'].get_marker() != lines['b'].get_marker()
    # Metrics are not smoothed.
    np.testing.assert_allclose(figure.axes[2].lines[0].get_xydata(), [(2, 30), (3, 20)])
    # Losses and metrics over the same iterations.
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['a', 'b']


def test_a_task_that_is_not_registered(write, monkeypatch):
    """Its primary metric is what the metrics.json beside the curves says; else it is told."""
    said: list[str] = []
    monkeypatch.setattr(curve_figures, 'print_log', lambda text, *_: said.append(text))
    records = [{'step': 1, 'after': 2, 'albedo/psnr': 2.0, 'depth/absErr': 3.0}]
    path = write('run/metrics.json', dict(higher_is_better={
        'albedo/psnr': True, 'depth/absErr': False})).replace('metrics', 'curves')
    write('run/curves.json', records[0])
    figure = draw_curves({'run': records}, named={'run': read_named(path)})
    assert [axes.get_title() for axes in figure.axes] == ['albedo psnr ↑', 'depth absErr ↓']
    assert not said
    assert len(draw_curves({'run': records}).axes) == 1
    assert 'curves of run: the figures of albedo, such as albedo/psnr, are left out' in said[0]


def test_figures_of_named_sets_have_their_own_panels():
    records = [dict(step=1, after=2, **{'a/depth/absErr': 2.0, 'b/depth/absErr': 3.0,
                                        'a/initial/depth/absErr': 9.0})]
    figure = draw_curves({'run': records})
    assert [axes.get_title() for axes in figure.axes] == ['a depth absErr ↓', 'b depth absErr ↓']


def test_seven_losses_take_two_rows():
    records = [dict(iter=1, **{f'loss_{letter}': 1.0 for letter in 'abcdefg'})]
    figure = draw_curves({'a': records})
    assert len(figure.axes) == 7
    assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == 2


def test_reading_a_run(tmp_path, write):
    file = tmp_path / 'work/curves.json'
    file.parent.mkdir()
    file.write_text('\n'.join(map(json.dumps, RECORDS)) + '\n{"step": 4, "it')
    assert read_run(str(file.parent)) == ('work', RECORDS)
    assert read_run(str(file)) == ('work', RECORDS)
    assert read_run(f'mine={file}')[0] == 'mine'
    with pytest.raises(ValueError, match='expected NAME=PATH, got'):
        read_run(f'={file}')
    file.write_text('')
    with pytest.raises(ValueError, match=r'curves\.json holds no curve'):
        read_run(str(file))
    with pytest.raises(ValueError, match=r'holds no curve'):
        read_run(write('list.json', [1]))
    with pytest.raises(FileNotFoundError, match=r'there is no file .*no/curves\.json'):
        (tmp_path / 'no').mkdir()
        read_run(str(tmp_path / 'no'))


def test_nothing_to_draw():
    with pytest.raises(ValueError, match='no losses and no metrics in the curves of a'):
        draw_curves({'a': [dict(iter=1, lr=0.1)]})
