"""Every method of the synthetic configs trains two steps and is tested, by the command lines."""

import json
import math
import runpy
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path

import pytest
import torch
from forked import fork, free_port
from in_process import last_of_each, load_tool, running_here

from mtpsl.data_prep.synthetic import write_scenes

from .conftest import LAYOUTS, ROOT, TINY, TINY_BASELINE, TINY_REGULARIZED

TASKS = LAYOUTS['pascal'][2]
HEADLINES = dict(semseg='mIoU', parsing='mIoU', saliency='maxF', normal='mErr', boundary='odsF')
TWO_STEPS = ['train_dataloader.batch_size=2', 'train_dataloader.dataset.max_images=4',
             'default_hooks.checkpoint.save_optimizer=False']
JTR_LOSSES = {'loss_jtr_model', 'loss_jtr_distance', 'loss_jtr_reconstruction'}
# Config below configs/synthetic -> its shrunk sizes, and losses beside the tasks'.
METHODS = dict(
    mtl_baseline_onelabel=(TINY_BASELINE, set()),
    ss_onelabel=(TINY_BASELINE, {'loss_consistency'}),
    xtc_onelabel=(TINY_REGULARIZED, {'loss_xtc'}), jtr_onelabel=(TINY_REGULARIZED, JTR_LOSSES),
    **{f'diffusionmtl_onelabel_{variant}': (TINY, set())
       for variant in ('wo-cond', 'wo-diffusion', 'steps1')})
# Label mappings of twelve images. The first four show every task; of two processes that take the
# images by turns, the first sees one label each in the other mapping, the second all or none.
LABELS = dict(onelabel=[['semseg'], ['parsing', 'boundary'], ['saliency'], ['normal'],
                        *[['parsing']] * 8],
              extreme=[['semseg'], TASKS, ['normal'], TASKS, ['parsing'], [], ['boundary'], [],
                       ['saliency'], TASKS, ['normal'], []])


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``--cfg-options`` that name twelve training and two test scenes of 64x64."""
    root = tmp_path_factory.mktemp('data') / 'PASCALContext'
    write_scenes(root, 'pascal', 12, 2, 64, 64, 0, 1)
    ids = (root / 'ImageSets/Context/train.txt').read_text().split()
    (root / 'label_mappings').mkdir()
    for name, labels in LABELS.items():
        (root / f'label_mappings/{name}.json').write_text(json.dumps(
            dict(zip(ids, labels))))
    return [f'{split}_dataloader.{option}' for split in ('train', 'val', 'test')
            for option in (f'dataset.data_root={root}', 'num_workers=0',
                           'persistent_workers=False')]


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Work dirs of what was trained already, by config."""
    return {name: tmp_path_factory.mktemp(name) / 'work' for name in (*METHODS, 'single_task')}


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    with running_here():
        yield


def call(script: str, *arguments: object) -> None:
    """A tool's command line in this process."""
    load_tool(script).main(last_of_each(arguments))


def train(config: str, work_dir: Path, options: list[str], *flags: str) -> list[dict]:
    """Train an epoch of two steps; the logged figures of each."""
    call('train.py', ROOT / f'configs/synthetic/{config}.py', '--work-dir', work_dir, *flags,
         '--cfg-options', *options, 'train_cfg.max_epochs=1', 'data_preprocessor.size=(64,64)')
    return steps(work_dir, 2)


def steps(work_dir: Path, count: int) -> list[dict]:
    log, = work_dir.glob('*/vis_data/scalars.json')
    figures = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry['step'] for entry in figures] == list(range(1, count + 1))
    for entry in figures:
        assert all(math.isfinite(value) for value in entry.values()), entry
        assert entry['grad_norm'] > 0
    return figures


def test(config: str, work_dir: Path, options: list[str]) -> dict[str, float]:
    folder = work_dir / 'test/of'  # apart from the training's logs
    call('test.py', ROOT / f'configs/synthetic/{config}.py', work_dir / 'epoch_1.pth',
         '--work-dir', folder, '--cfg-options', 'data_preprocessor.size=(64,64)', *options)
    return json.loads((folder / 'metrics.json').read_text())


test.__test__ = False


@pytest.mark.parametrize('config', METHODS)
def test_a_method_trains_two_steps_and_is_tested(config, data, trained):
    options, extra = METHODS[config]
    options = [*data, *options, *TWO_STEPS]
    figures = train(config, trained[config], options)
    losses = {name for entry in figures for name in entry if name.startswith('loss_')}
    initial = {f'loss_{task}_initial' for task in TASKS} if 'diffusion' in config else set()
    assert losses - {'loss_zero'} == {f'loss_{task}' for task in TASKS} | extra | initial
    assert all(any(entry.get(name, 0) > 0 for entry in figures) for name in extra)

    metrics = test(config, trained[config], options)
    names = {f'{task}/{metric}' for task, metric in HEADLINES.items()}
    found = {name for name in metrics if name.rpartition('/')[2] in HEADLINES.values()}
    assert found == names | ({f'initial/{name}' for name in names} if initial else set())
    assert 0 < metrics['normal/mErr'] < 180 and 0 <= metrics['semseg/mIoU'] <= 100


def test_a_single_task_model_trains_on_its_own_images_and_is_tested(data, trained):
    # Nine of the twelve images are labelled for parsing; two batches of four.
    options = [*data, *TINY_BASELINE, 'train_dataloader.batch_size=4']
    work_dir = trained['single_task']
    figures = train('single_task_onelabel_parsing', work_dir, options)
    assert {name for entry in figures for name in entry if 'loss' in name} == {
        'loss', 'loss_parsing'}
    metrics = test('single_task_onelabel_parsing', work_dir, options)
    assert 'parsing/mIoU' in metrics
    assert {name.split('/')[0] for name in metrics} - {
        'higher_is_better', 'task_options', 'tested'} == {'parsing'}


@pytest.mark.parametrize('config', ['xtc_onelabel', 'jtr_onelabel'])
def test_auxiliary_networks_train_in_bfloat16(config, data, trained, tmp_path):
    """The first step's losses are near those of float32: some classes are sampled otherwise."""
    options, extra = METHODS[config]
    options = [*data, *options, *TWO_STEPS]
    if not trained[config].is_dir():  # where this test is run alone
        train(config, trained[config], options)
    full, half = steps(trained[config], 2), train(config, tmp_path, options, '--amp')
    assert set(full[0]) == set(half[0])
    for name in ('loss', *extra):
        assert half[0][name] == pytest.approx(full[0][name], rel=0.3), name
        assert half[0][name] != full[0][name]
    assert 'AutocastOptimWrapper' in next(tmp_path.glob('*.py')).read_text()


# ------------------------------------------------------------------ two processes

# What torchrun starts twice; all trainings in one go, since most of the time is Python's start.
PROCESS = """
import os
import runpy
import torch
from mmengine.runner import Runner

os.environ.update(VARIABLES)
train = Runner.train
def train_and_keep(self):
    train(self)
    torch.save(self.model.module.state_dict(), f'{self.work_dir}/rank{VARIABLES["RANK"]}.pth')
Runner.train = train_and_keep
main = runpy.run_path(TOOL)['main']
for arguments in LINES:
    main(arguments)
"""


def test_two_processes_train_whatever_is_labelled_on_each(data, tmp_path):
    """SS has nothing to compare, XTC no pair, JTR only labels or none: no process waits for ever.

    Three steps of two images each, so that a parameter that one step leaves out stops the next.
    """
    configs = ('ss_onelabel', 'xtc_onelabel', 'jtr_onelabel')
    lines = [last_of_each([
        ROOT / f'configs/synthetic/{config}.py', '--launcher', 'pytorch', '--work-dir',
        tmp_path / config, '--cfg-options', *data, *METHODS[config][0],
        'train_cfg.max_epochs=1', 'data_preprocessor.size=(64,64)',
        'train_dataloader.batch_size=2', 'train_dataloader.sampler.shuffle=False',
        'train_dataloader.dataset.label_mapping=label_mappings/extreme.json'])
        for config in configs]
    (tmp_path / 'process.py').write_text(PROCESS)
    variables = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port(),
                     CUDA_VISIBLE_DEVICES='')  # gloo
    processes = [fork(runpy.run_path, str(tmp_path / 'process.py'), dict(
        VARIABLES=variables | dict(RANK=rank, LOCAL_RANK=rank), LINES=lines,
        TOOL=str(ROOT / 'tools/train.py'))) for rank in '01']
    try:
        while None in (codes := [process.exitcode for process in processes]) and not any(codes):
            assert wait([process.sentinel for process in processes
                         if process.exitcode is None], timeout=300)
        assert codes == [0, 0]
    finally:
        for process in processes:
            process.kill()
    for config in configs:
        steps(tmp_path / config, 3)
        first, second = (torch.load(tmp_path / config / f'rank{rank}.pth') for rank in (0, 1))
        assert all(torch.equal(value, second[name]) for name, value in first.items())
