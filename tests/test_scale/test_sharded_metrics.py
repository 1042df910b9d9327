"""Figures of a set that several ranks share are one process's to the last digit."""

import pytest
from test_scale.ranks import run_ranks
from test_scale.shards import LABELS, evaluate, evaluate_shards, images
from tiny import PASCAL_TASKS

from mtpsl.evaluation import MultiTaskMetric

# Images, whether some are dealt twice, results to keep (all, or as many as images), meeting place.
CASES = [(5, True, 5, 'gpu'), (5, True, 99, 'gpu'), (5, False, 5, 'gpu'), (5, False, 5, 'cpu'),
         (1, True, 1, 'gpu'), (2, False, 2, 'gpu')]


@pytest.mark.parametrize('world_size', [2, 4])
def test_figures_of_shards(world_size, tmp_path, monkeypatch):
    """Uneven shards, images dealt twice or thrice, ranks without any; scored on one rank only."""
    monkeypatch.chdir(tmp_path)  # results that meet on the disk do so below the current folder
    ranks = run_ranks(world_size, evaluate_shards, CASES)
    for number, (count, repeat, *_) in enumerate(CASES):
        shards = [dealt for dealt, _, _ in (rank[number] for rank in ranks)]
        assert {index for shard in shards for index in shard} == set(range(count))
        total = sum(map(len, shards))
        assert total == (-(-count // world_size) * world_size if repeat else count)
        expected, _ = evaluate(images(count), list(range(count)), count)
        assert expected['boundary/odsF'] > 0 and 'initial/semseg/mIoU' in expected
        calls = [rank[number][2] for rank in ranks]
        for rank in ranks:  # NaN (no such label) has no equal but its text
            assert {key: repr(value) for key, value in rank[number][1].items()} == {
                key: repr(value) for key, value in expected.items()}
        assert [call['compute_metrics'] for call in calls] == [1] + [0] * (world_size - 1)
        assert [call['boundary_scores'] for call in calls] == [2] + [0] * (world_size - 1)
        # Each rank matches its own images, final and initial.
        assert [call['boundary_counts'] for call in calls] == [
            2 * sum('boundary' in LABELS[index % len(LABELS)] for index in shard)
            for shard in shards]
    assert [[] for _ in range(world_size - 2)] == [
        dealt for dealt, _, _ in (rank[-1] for rank in ranks) if not dealt]


@pytest.mark.parametrize('variables, expected', [
    ({}, 8), ({'LOCAL_WORLD_SIZE': '4'}, 3), ({'LOCAL_WORLD_SIZE': '99'}, 1),
    ({'SLURM_CPUS_PER_TASK': '5'}, 5),
    ({'SLURM_CPUS_PER_TASK': '8', 'LOCAL_WORLD_SIZE': '4'}, 2)])  # torchrun in one task of slurm
def test_boundary_matching_takes_the_rank_s_share_of_the_cores(variables, expected, monkeypatch):
    monkeypatch.setattr('os.cpu_count', lambda: 12)
    for name in ('LOCAL_WORLD_SIZE', 'SLURM_CPUS_PER_TASK'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert MultiTaskMetric(PASCAL_TASKS).workers == expected
