"""A run with images that hold NaN, against one in which those steps never were."""

import json
from pathlib import Path

import pytest
import torch
from test_faults.poison import Poison, train, train_ranks, train_without
from test_faults.tiny_run import write_config, write_images
from test_scale.ranks import run_ranks

from mtpsl.engine import NonFiniteHook
from mtpsl.engine.checkpoints.content import SAFE

LINES = ['train_cfg = dict(max_epochs=2)',
         'default_hooks = dict(logger=dict(interval=1), non_finite=dict(patience=3))']


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, three steps an epoch."""
    return write_images(tmp_path_factory.mktemp('images'))


def poisoned(path: Path, images: Path, arguments: str, *lines: str) -> str:
    """A config whose pipeline has the buggy transform."""
    poison = f"pipeline.insert(3, dict(type='Poison', {arguments}))"
    return str(write_config(path, images, poison, *LINES, *lines))


def load(path: Path) -> dict:
    with torch.serialization.safe_globals(SAFE):
        return torch.load(path, weights_only=True)


def records(work_dir: Path) -> list[dict]:
    """The log's lines of all runs in a folder."""
    return [json.loads(line) for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
            for line in path.read_text().splitlines()]


def log(work_dir: Path) -> str:
    return ''.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


def named_in(error: str) -> set[str]:
    """The images that the error names."""
    return set(error.partition('Their images: ')[2].partition('. The weights')[0].split(', '))


def assert_same_training(one: dict, other: dict) -> None:
    """Weights, BatchNorm's buffers and Adam's state, bit for bit."""
    assert any('num_batches_tracked' in name for name in one['state_dict'])
    assert one['state_dict'].keys() == other['state_dict'].keys()
    for name, value in one['state_dict'].items():
        assert value.isfinite().all() and torch.equal(value, other['state_dict'][name]), name
    states = [checkpoint['optimizer']['state'] for checkpoint in (one, other)]
    assert states[0].keys() == states[1].keys() and states[0]
    for number, state in states[0].items():
        assert all(torch.equal(value, states[1][number][key]) for key, value in state.items())


def skipped_in(work_dir: Path, iterations: str) -> list[str]:
    """The images that the warning of some iterations names."""
    warning, = [line for line in log(work_dir).splitlines() if f'{iterations}: ' in line]
    assert 'WARNING' in warning and ': not finite: loss nan, loss_semseg nan, ' in warning
    return warning.partition('the step is skipped. Images: ')[2].split(', ')


@pytest.mark.parametrize('wrapper', ['FiniteOptimWrapper', 'AutocastOptimWrapper'])
def test_the_run_ends_as_if_the_spoilt_steps_had_been_left_out(wrapper, images, tmp_path):
    config = poisoned(tmp_path / 'config.py', images, "images=['3']",
                      f"optim_wrapper = dict(type='{wrapper}')")
    found_inf = [2, 6]
    train(config, str(tmp_path / 'run'))
    for iteration in found_inf:
        names = skipped_in(tmp_path / 'run', f'Iteration {iteration}')
        assert '3 (not finite: image)' in names and len(names) == 2
    assert records(tmp_path / 'run')[-1]['skipped_steps'] == len(found_inf)
    train_without(found_inf, config, str(tmp_path / 'without'))
    runs = [load(tmp_path / name / 'epoch_2.pth') for name in ('run', 'without')]
    assert_same_training(*runs)
    states = runs[0]['optimizer']['state'].values()
    assert {int(state['step']) for state in states} == {6 - len(found_inf)}


def test_accumulated_gradients_are_skipped_by_the_window(images, tmp_path):
    config = poisoned(tmp_path / 'config.py', images, "images=['3']",
                      'optim_wrapper = dict(accumulative_counts=2)')
    train(config, str(tmp_path / 'run'))
    for window in ('Iterations 1 to 2', 'Iterations 5 to 6'):
        names = skipped_in(tmp_path / 'run', window)
        assert '3 (not finite: image)' in names and len(names) == 4
    assert records(tmp_path / 'run')[-1]['skipped_steps'] == 2
    states = load(tmp_path / 'run/epoch_2.pth')['optimizer']['state'].values()
    assert {int(state['step']) for state in states} == {1}


def test_too_many_in_a_row_end_the_run_and_name_the_images(images, tmp_path, capsys, monkeypatch):
    """From the ninth image on all are found_inf: two steps of the second epoch, one of the third.

    One more is read before the training, which looks at what leaves the pipeline.
    """
    config = poisoned(tmp_path / 'config.py', images, 'first=9', 'train_cfg.update(max_epochs=4)')
    work_dir = tmp_path / 'run'
    with pytest.raises(SystemExit) as stopped:
        train(config, str(work_dir))
    assert stopped.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        'train.py: error: 3 steps in a row, iterations 5 to 7: not finite: loss nan, loss_semseg '
        'nan, loss_saliency nan; they were skipped and training stops. Their images: ')
    assert error.endswith(f'last checkpoint: {work_dir}/epoch_2.pth  [NonFiniteError; '
                          'MTPSL_TRACEBACK=1 shows where]')
    named = {image for line in log(work_dir).splitlines() if 'the step is skipped' in line
             for image in line.partition('Images: ')[2].split(', ')}
    assert named and named_in(error) == named
    assert all(name.endswith(' (not finite: image)') for name in named)

    # The checkpoints are those of a run in which these steps never were.
    assert sorted(path.name for path in work_dir.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    train_without([5, 6], config, str(tmp_path / 'without'),
                  '--cfg-options', 'train_cfg.max_epochs=2')
    assert_same_training(load(work_dir / 'epoch_2.pth'), load(tmp_path / 'without/epoch_2.pth'))

    # With the bug mended, it goes on from there, and the count does too.
    monkeypatch.setattr(Poison, 'transform', lambda self, results: results)
    train(config, str(work_dir), '--resume')
    last = records(work_dir)[-1]
    assert last['skipped_steps'] == 2
    end = load(work_dir / 'epoch_4.pth')
    assert end['meta']['iter'] == 12
    losses = end['message_hub']['log_scalars']['train/loss'].data[0]
    assert [number for number, loss in enumerate(losses, 1) if not loss > 0] == [5, 6]


def test_a_good_step_between_starts_the_count_anew(images, tmp_path):
    """Of three steps an epoch one is found_inf, three altogether."""
    config = poisoned(tmp_path / 'config.py', images, "images=['3']",
                      'train_cfg.update(max_epochs=3)', "default_hooks['non_finite'] = dict("
                      "patience=3)")
    train(config, str(tmp_path / 'run'))
    assert records(tmp_path / 'run')[-1]['skipped_steps'] == 3


def test_no_checkpoint_yet(images, tmp_path, capsys):
    config = poisoned(tmp_path / 'config.py', images, 'images=None')
    with pytest.raises(SystemExit):
        train(config, str(tmp_path / 'run'))
    assert 'iterations 1 to 3: ' in (error := capsys.readouterr().err)
    assert 'last checkpoint: none yet  [NonFiniteError' in error
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_ranks_skip_and_stop_together(images, tmp_path):
    """An image on one of two ranks spoils the step of both; both stop with the same words."""
    lines = ('train_dataloader.update(batch_size=1)', 'data_preprocessor.update(size=(64, 64))')
    config = poisoned(tmp_path / 'config.py', images, "images=['3']", *lines)
    stopping = poisoned(tmp_path / 'stop.py', images, 'first=3', *lines)  # one is looked at
    found_inf = [2, 6]
    runs = [(config, 'run', ()), (config, 'without', found_inf), (stopping, 'stop', ())]
    for _, name, _ in runs:
        (tmp_path / name).mkdir()
    answers = run_ranks(2, train_ranks, [(path, str(tmp_path / name), without)
                                         for path, name, without in runs])
    assert answers[0] == answers[1]
    ends, skipped = answers[0]
    assert skipped == [False, True, False]
    assert ends[:2] == [('', 6)] * 2

    warnings = [line for line in log(tmp_path / 'run').splitlines() if 'is skipped' in line]
    steps = [int(line.partition('Iteration ')[2].partition(':')[0]) for line in warnings]
    assert steps == found_inf
    # Only the rank that had the image is suspected.
    assert all(line.endswith('Images: 3 (not finite: image)') for line in warnings)
    run, without = ([torch.load(tmp_path / name / f'rank{rank}.pth', weights_only=True)
                     for rank in range(2)] for name in ('run', 'without'))
    for name, value in run[0].items():
        assert value.isfinite().all() and torch.equal(value, without[0][name]), name
        assert torch.equal(run[1][name], without[1][name]), name
        assert torch.equal(value, run[1][name]), name  # SyncBuffersHook made the buffers alike

    error, iteration = ends[2]
    assert iteration == 5
    assert '3 steps in a row, iterations 3 to 5: not finite: loss nan' in error
    warned = [line.partition('Images: ')[2].split(', ')
              for line in log(tmp_path / 'stop').splitlines() if 'is skipped' in line]
    assert [len(names) for names in warned] == [2, 2, 2]  # one of each rank
    assert named_in(error) == {name for names in warned for name in names}


@pytest.mark.parametrize(('options', 'message'), [
    (dict(patience=0), 'patience must be an integer of at least 1, got 0'),
    (dict(patience=2.5), 'patience must be an integer of at least 1, got 2.5')])
def test_patience(options, message):
    with pytest.raises(ValueError, match=message):
        NonFiniteHook(**options)


def test_another_wrapper_is_refused(images, tmp_path, capsys):
    config = write_config(tmp_path / 'config.py', images, "optim_wrapper=dict(type='OptimWrapper')")
    with pytest.raises(SystemExit):
        train(str(config), str(tmp_path / 'run'))
    error = capsys.readouterr().err
    assert 'optim_wrapper.type must be FiniteOptimWrapper, or AutocastOptimWrapper' in error
    assert 'got OptimWrapper' in error and ' in NonFiniteHook' not in error
    without = 'default_hooks = dict(non_finite=None)\ntrain_cfg = dict(max_epochs=1)'
    train(str(write_config(tmp_path / 'other.py', images, config.read_text(), without)),
          str(tmp_path / 'other'))
    assert 'optim_wrapper.type=OptimWrapper: weight decay and momentum change the weights' in log(
        tmp_path / 'other')
