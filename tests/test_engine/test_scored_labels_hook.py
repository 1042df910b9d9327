"""A validation opens the files of the labels that it scores, and no others."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from in_process import running_here
from test_faults.tiny_run import write_config, write_images

from mtpsl.datasets import FolderDataset, JointDataset
from mtpsl.engine import PanelHook, ScoredLabelsHook, build_runner, load_config
from mtpsl.evaluation import MultiTaskMetric

PIPELINE = [dict(type=f'mtpsl.{name}') for name in (
    'LoadImageFromFile', 'LoadLabels', 'PackMultiTaskInputs')]


@pytest.fixture(params=['edges', 'outline'])
def dataset(request, tmp_path: Path) -> FolderDataset | JointDataset:
    """One image; whoever opens the label of its boundaries, called ``edges``, fails."""
    for name in ('images', 'saliency', 'edges'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / '0.png'), np.full((8, 8), 255 * (name != 'images')))
    (tmp_path / 'edges/0.png').write_bytes(b'')
    tasks = {'saliency': dict(type='Saliency'), request.param: dict(type='Boundary')}
    if request.param == 'edges':
        return FolderDataset(tasks=tasks, data_root=str(tmp_path), pipeline=PIPELINE)
    own = dict(type='FolderDataset', data_root=str(tmp_path), pipeline=PIPELINE, tasks=list(tasks))
    return JointDataset(tasks=tasks, names=dict(own=dict(outline='edges')), datasets=dict(own=own))


@pytest.mark.parametrize('slow_tasks, hooks, metrics, read', [
    (False, [], [], False), (False, [PanelHook(num_images=1)], [], False),
    (False, [PanelHook(num_images=1, in_validation=True)], [], True), (True, [], [], True),
    (False, [], [object()], True)])
def test_labels_that_nobody_looks_at_are_not_read(dataset, slow_tasks, hooks, metrics, read):
    metric = MultiTaskMetric(dataset.tasks, slow_tasks=slow_tasks)
    ScoredLabelsHook().before_val(SimpleNamespace(
        hooks=hooks, val_dataloader=SimpleNamespace(dataset=dataset),
        val_evaluator=SimpleNamespace(metrics=[metric, *metrics])))
    if read:
        with pytest.raises(RuntimeError, match='edges/0.png'):
            dataset[0]
    else:
        assert dataset[0]['data_samples'].gt.keys() == ['saliency']


def test_every_run_has_it(tmp_path: Path):
    config = write_config(tmp_path / 'config.py', write_images(tmp_path / 'data', 2))
    with running_here():
        runner = build_runner(load_config(
            str(config), dict(work_dir=str(tmp_path / 'run'))))
    assert sum(isinstance(hook, ScoredLabelsHook) for hook in runner.hooks) == 1
