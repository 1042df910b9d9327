"""The speed benchmark's measuring, and its subcommands train and inference as a user runs them."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from in_process import load_tool
from mmengine.config import Config
from plain.inference import predict
from plain.training import losses
from tiny import PASCAL_TASKS, tiny_model_config

from mtpsl.analysis.profiling import Measurement, as_table, measure
from mtpsl.analysis.profiling.matrix_rate import share_facts
from mtpsl.analysis.profiling.model import Execution, build_model, load_function
from mtpsl.analysis.profiling.random_batch import draw_labelled, random_batch
from mtpsl.engine import load_config
from mtpsl.tasks import build_tasks

from .conftest import CONFIG, ROOT, TINY

TOOL = load_tool('analysis_tools/benchmark.py')
SMALL = ['--size', '32', '64', '--repeats', '2', '--warm-up', '1', '--device', 'cpu',
         '--cfg-options', *TINY]


def waiting(path: str, name: str, megabytes: int) -> Callable[[], dict]:
    """A procedure that says when it is called and holds memory."""
    held = np.ones(megabytes * 2**20 // 8)

    def step() -> dict:
        with open(path, 'a') as log:
            log.write(name)
        time.sleep(0.02 if name == 'b' else 0.001)
        return dict(held=float(held[0]))

    return step


def told(step: Callable[[], dict]) -> dict:
    return dict(afterwards=2 * step()['held'])


def failing() -> Callable[[], None]:
    raise ValueError('no such model')


def test_procedures_take_turns_and_have_their_own_memory(tmp_path):
    log = tmp_path / 'log'
    first, second = measure({'a': partial(waiting, str(log), 'a', 200),
                             'b': partial(waiting, str(log), 'b', 1)}, 3, warm_up=2, items=4,
                            afterwards=told, settle=1)
    assert log.read_text() == 'aabb' * 5 + 'ab'
    assert len(first.seconds) == 3 and first.median < 0.02 <= second.median
    assert second.rate == 4 / second.median and first.facts == dict(held=1, afterwards=2)
    difference = (first.peak_bytes - second.peak_bytes) / 2**20
    assert 150 < difference < 250


def test_a_procedure_that_fails_says_why():
    with pytest.raises(RuntimeError, match="(?s)measuring 'ours' failed: .*no such model"):
        measure({'ours': failing}, 1)


def test_the_table_compares_with_its_last_row():
    rows = [Measurement('ours', (0.1, 0.2, 0.3, 0.4), 2, 2**20),
            Measurement('plain', (0.5, 0.5, 0.5, 1.0), 2, 2**21)]
    lower, upper = np.quantile(rows[0].seconds, [0.25, 0.75])
    assert rows[0].quartiles == pytest.approx((lower, upper))
    cells = [[cell.strip() for cell in line.split('|')[1:-1]]
             for line in as_table(rows).splitlines() if line.startswith('|')]
    assert cells[1] == ['ours', '250.0', '175.0-325.0', '4', '8.00', '1', '2.00x']
    assert cells[2][-1] == '1.00x'


def test_random_batches_are_of_the_tasks_and_differ_by_seed():
    tasks = build_tasks(PASCAL_TASKS | dict(depth=dict(type='Depth')))
    batch = random_batch(tasks, 3, (20, 30), 'all', seed=1)
    again, other = (random_batch(tasks, 3, (20, 30), 'all', seed=seed) for seed in (1, 2))
    assert torch.equal(torch.stack(batch['inputs']), torch.stack(again['inputs']))
    assert not torch.equal(batch['inputs'][0], other['inputs'][0])
    for name, task in tasks.items():
        label = getattr(batch['data_samples'][0].gt, name)
        assert label.shape == (task.label_channels, 20, 30)
        assert label.numpy().dtype == task.label_dtype
        valid = task.valid(label[None])[0, 0]
        assert not valid[:2].any() and valid[2:].float().mean() > 0.9
        task.check(np.moveaxis(label.numpy(), 0, -1).squeeze())  # no value that it does not know
    assert len(batch['data_samples'][0].gt.semseg.unique()) == 22


def test_label_patterns():
    generator, tasks = torch.Generator().manual_seed(0), ['a', 'b', 'c', 'd']
    drawn = {kind: [draw_labelled(tasks, kind, generator) for _ in range(400)]
             for kind in ('one', 'random', 'all')}
    assert all(names == tasks for names in drawn['all'])
    assert {len(names) for names in drawn['one']} == {1}
    numbers = [len(names) for names in drawn['random']]
    assert set(numbers) == {1, 2, 3} and 1.8 < statistics.mean(numbers) < 2.2
    counts = [sum(name in names for names in drawn['one']) for name in tasks]
    assert min(counts) > 60 and sum(counts) == 400
    assert draw_labelled(['a', 'b'], 'random', generator) in (['a'], ['b'])


def test_functions_of_a_file_with_neighbours():
    assert load_function(str(ROOT / 'tests/plain/training.py'), 'losses') is losses
    assert load_function(str(ROOT / 'tests/plain/inference.py'), 'predict') is predict


def test_train_against_the_plain_procedure(tmp_path, capsys):
    path = tmp_path / 'speed.json'
    TOOL.main(['train', CONFIG, '--against', str(ROOT / 'tests/plain/training.py'), '--batch', '2',
               '--json', str(path), *SMALL])
    said = capsys.readouterr().out
    result = json.loads(path.read_text())
    ours, plain = result['measurements']
    assert (ours['name'], plain['name'], len(ours['seconds'])) == ('ours', 'plain', 2)
    assert ours['median'] > 0 and ours['peak_bytes'] > 2**20
    assert result['setting'] | dict(command='train', batch=2, size=[32, 64], device='cpu',
                                    labels='one') == result['setting']
    assert result['machine']['torch'] == torch.__version__
    assert f'{plain["median"] / ours["median"]:.2f}x' in said


def test_inference_of_a_batch_size(tmp_path):
    TOOL.main(['inference', CONFIG, '--batch', '3', '--amp', '--json',
               str(tmp_path / 'speed.json'), *SMALL])
    result = json.loads((tmp_path / 'speed_batch3.json').read_text())
    assert result['setting']['batch'] == result['measurements'][0]['items'] == 3
    assert result['setting']['amp'] is True


def test_cudnn_searches_where_the_training_does(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', torch.backends.cudnn.benchmark)
    cfg = Config(dict(model=tiny_model_config(), env_cfg=dict(cudnn_benchmark=True)))
    for search in (True, False):
        cfg.env_cfg.cudnn_benchmark = search
        build_model(cfg, Execution('cpu'))
        assert torch.backends.cudnn.benchmark is search
    assert not load_config(str(ROOT / CONFIG)).env_cfg.cudnn_benchmark  # pairs change its shapes


def test_the_variable_of_the_docs_lets_products_take_tf32():
    text = (ROOT / 'docs/speed.md').read_text()
    name, value = re.search(r'`(TORCH_\w+)=(\w+)`', text).groups()
    told = subprocess.run(
        [sys.executable, '-c', 'import torch; print(torch.get_float32_matmul_precision())'],
        env=os.environ | {name: value}, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == 'high'


def test_share_of_the_matrix_rate():
    kernels = [('sm90_xmma_wgrad_implicit_gemm_bf16', 3000.0), ('vectorized_elementwise', 4000.0),
               ('cutlass::Kernel', 1000.0), ('batch_norm_backward', 2000.0)]
    facts = share_facts(2 * 10**12, kernels, 8e14)
    assert list(facts.values()) == pytest.approx([2, 4, 40, 800, 62.5])  # 2 TFLOP in 4 ms: 500
    assert share_facts(0, [], 8e14)['percent of it while in them'] == 0


@pytest.mark.parametrize('arguments, message', [
    (['train', CONFIG, '--matrix-share', '--device', 'cpu'], '--matrix-share needs a GPU'),
    (['train', CONFIG, '--against', 'nothing.py'], '--against must be a Python file, got nothing'),
    (['train', CONFIG, '--against', 'tests/plain/inference.py'], 'has no function losses'),
    (['train', 'configs/synthetic/ss_onelabel.py'], 'trained on several views of an image'),
    (['train', 'configs/_base_/default_runtime.py'], 'has no model')])
def test_what_cannot_be_measured(arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        TOOL.main(arguments)
    assert message in capsys.readouterr().err
