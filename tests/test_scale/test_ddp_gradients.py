"""W ranks with b samples each train as one process with W b does, whatever is labelled where."""

import pytest
import torch
from test_scale.gradients import ACCUMULATED, compare_kinds, label_cases, sync_bn_error
from test_scale.ranks import run_ranks


@pytest.mark.parametrize('world_size, kinds', [
    (2, ('prediction', 'feature', 'baseline', 'ss', 'hitts')), (4, ('prediction', 'feature'))])
def test_the_gradients_are_those_of_the_whole_batch(world_size, kinds, tmp_path):
    """With the batch statistics frozen; on two ranks of accumulated gradients too.

    All steps run on the same model one after another: a parameter that one step leaves out would
    stop the next, since nothing looks for unused parameters.
    """
    steps = len(label_cases(world_size)) + (len(ACCUMULATED) if world_size == 2 else 0)
    for answers in run_ranks(world_size, compare_kinds, kinds, str(tmp_path)):
        assert len(answers) == len(kinds) * steps
        for case, (missing, error) in answers.items():
            assert not missing, case
            assert error < 1e-10, case  # in float64


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="torch's SyncBN needs two GPUs")
def test_synchronised_batch_statistics_are_those_of_the_whole_batch(tmp_path):
    for error in run_ranks(2, sync_bn_error, str(tmp_path), gpu=True):
        assert error < 1e-3


def test_without_gpus_each_process_has_batch_statistics_of_its_own(tmp_path):
    """So the comparison above can fail."""
    for error in run_ranks(2, sync_bn_error, str(tmp_path)):
        assert error > 0.01
