"""Whether more or less is better, of the figure that chooses the best checkpoint."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from in_process import load_tool, running_here
from mmengine.fileio import LocalBackend
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine import SafeCheckpointHook
from mtpsl.engine.checkpoints.resume import plain


@pytest.mark.parametrize('key, rule', [
    # mmengine finds 'top', 'acc' and 'auc' in these names, and would keep the worst.
    ('top_depth/absErr', 'less'), ('desktop/mErr', 'less'), ('accessory/absErr', 'less'),
    ('sauce/mErr', 'less'), ('loss_map/mIoU', 'greater'), ('semseg/mIoU', 'greater'),
    ('saliency/maxF', 'greater'), ('boundary/odsF', 'greater'), ('initial/depth/absErr', 'less'),
    ('delta_m', 'greater')])
def test_the_tasks_know_the_direction_of_their_primary_metrics(key, rule):
    hook = SafeCheckpointHook(save_best=key)
    assert hook.rules == [rule]
    assert hook.is_better_than[key](2, 1) == (rule == 'greater')


def test_other_figures_need_a_rule():
    with pytest.raises(ValueError, match=r"save_best='top/rmse': whether more of 'rmse' .* rule="):
        SafeCheckpointHook(save_best='top/rmse')
    assert SafeCheckpointHook(save_best='top/rmse', rule='less').rules == ['less']
    both = SafeCheckpointHook(save_best=['top/absErr', 'semseg/mIoU'])
    assert both.rules == ['less', 'greater']


@pytest.mark.parametrize('key, rule', [('semseg/mIoU', 'less'), ('delta_m', 'less'),
                                       ('initial/depth/absErr', 'greater')])
def test_a_rule_that_would_keep_the_worst_is_refused(key, rule):
    with pytest.raises(ValueError, match=f'rule={rule!r} would keep the worst by save_best=.{key}'):
        SafeCheckpointHook(save_best=key, rule=rule)


def test_a_score_of_another_validation_does_not_count(tmp_path):
    """Other worker processes are the same validation, another pipeline or evaluator is not."""
    config = write_config(
        tmp_path / 'config.py', write_images(tmp_path / 'data'), 'train_cfg = dict(val_begin=1, '
        'val_interval=1)', "default_hooks = dict(checkpoint=dict(save_best='semseg/mIoU'))")

    def train(epochs: int, *options: str) -> str:
        with running_here():
            load_tool('train.py').main([
                str(config), '--work-dir', str(tmp_path / 'run'), '--resume', '--cfg-options',
                f'train_cfg.max_epochs={epochs}', *options])
        return max(Path(tmp_path / 'run').glob('*/*.log')).read_text()

    train(1)
    same = ['val_evaluator.workers=0', 'val_dataloader.batch_size=1']
    assert 'is chosen anew' not in train(2, *same)
    flip = 'val_dataloader.dataset.pipeline.2.prob=1.0'
    log = train(3, *same, flip)
    assert 'pipeline.2.prob None -> 1.0): it stays, and the next is chosen anew' in log
    assert 'best checkpoint with' in log  # whatever its score
    assert 'val_evaluator.slow_tasks None -> False' in train(4, flip,
                                                              'val_evaluator.slow_tasks=False')


def test_a_function_in_a_config_is_the_same_in_each_run():
    assert '0x' not in plain(dict(type=write_config))['type']


def test_a_best_checkpoint_that_was_deleted_meanwhile_is_missed(tmp_path):
    told, published, there = [], [], tmp_path / 'best_a.pth'
    there.touch()
    hook = SafeCheckpointHook(save_best=['semseg/mIoU', 'depth/absErr'], published_keys=['meta'],
                              save_last=False)
    hook._publish_model = lambda runner, path: published.append(path)
    hook.file_backend = LocalBackend()
    runner = SimpleNamespace(logger=SimpleNamespace(warning=told.append))
    hook.best_ckpt_path_dict = {'semseg/mIoU': str(there), 'depth/absErr': None}
    hook.after_train(runner)
    assert not told
    there.unlink()
    hook.best_ckpt_path_dict = {'semseg/mIoU': str(there), 'depth/absErr': None}
    hook.after_train(runner)
    assert ['best_a.pth, is gone' in text for text in told] == [True]
    assert published == [str(there)]  # by the first call
