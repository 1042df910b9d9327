"""Whether more or less is better, of the figure that chooses the best checkpoint."""

import pytest

from mtpsl.engine import SafeCheckpointHook


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
