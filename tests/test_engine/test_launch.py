"""Building runners: checkpoints that fit, processes without a GPU, mixed precision, noise."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from in_process import load_tool, running_here
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import tiny_model_config
from torch import nn

from mtpsl.engine import AutocastOptimWrapper, ReseedHook, launch
from mtpsl.engine.checkpoints.content import read_shapes
from mtpsl.engine.checkpoints.fits import check_checkpoint, check_pretrained
from mtpsl.engine.launch import _translate_slurm, build_runner
from mtpsl.registry import MODELS


def save(path: Path, state: object) -> str:
    torch.save(state, path)
    return str(path)


def test_a_fitting_checkpoint_passes(tmp_path):
    model = MODELS.build(tiny_model_config())
    state = model.state_dict()
    check_checkpoint(save(tmp_path / 'plain.pth', state), model)
    wrapped = {f'module.{key}': value for key, value in state.items()}
    check_checkpoint(save(tmp_path / 'runner.pth', dict(state_dict=wrapped, meta={})), model)


def test_a_foreign_checkpoint_is_refused_with_what_differs(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = model.state_dict() | {'0.weight': torch.zeros(3, 5), 'other': torch.zeros(1)}
    del state['1.bias']
    with pytest.raises(ValueError, match=r'another model .*1 missing: 1.bias; 1 not of the model: '
                       r'other; 1 of another shape: 0.weight \(3, 5\) for \(3, 2\)'):
        check_checkpoint(save(tmp_path / 'x.pth', dict(state_dict=state)), model)
    feature = MODELS.build(tiny_model_config('FeatureDiffusion'))
    with pytest.raises(ValueError, match='of another model'):
        check_checkpoint(save(tmp_path / 'feature.pth', feature.state_dict()),
                         MODELS.build(tiny_model_config('PredictionDiffusion')))


class Evil:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path('evil'),)


@pytest.mark.parametrize('content', [b'', b'hello world', b'PK\x03\x04 cut short'])
def test_files_that_are_no_checkpoint_are_named(tmp_path, content):
    path = tmp_path / 'broken.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='broken.pth is not a checkpoint'):
        read_shapes(str(path))
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        read_shapes('nowhere.pth')


def test_code_in_a_checkpoint_never_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='evil.pth is not a checkpoint'):
        read_shapes(save(tmp_path / 'evil.pth', Evil()))
    assert not Path('evil').exists()


def test_pretrained_weights_must_cover_the_backbone(tmp_path):
    backbone = MODELS.build(dict(type='mmseg.ResNet', depth=18, base_channels=8, stem_channels=8))
    state = {key: value for key, value in backbone.state_dict().items()
             if not key.endswith('num_batches_tracked')}
    check_pretrained(save(tmp_path / 'a.pth', state | {'fc.weight': torch.zeros(1)}), backbone)
    with pytest.raises(ValueError, match='another model'):
        check_pretrained(save(tmp_path / 'b.pth', {'a': torch.zeros(1)}), backbone)


def runner_config(tmp_path: Path, **changes: object) -> Config:
    return Config(dict(model=tiny_model_config(), work_dir=str(tmp_path), default_scope='mtpsl',
                       log_level='WARNING', experiment_name=tmp_path.name) | changes)


def test_a_run_has_a_folder(tmp_path):
    with pytest.raises(ValueError, match='cfg.work_dir must name the folder of the run'):
        build_runner(runner_config(tmp_path, work_dir=None))


def test_building_checks_what_will_be_loaded(tmp_path):
    foreign = save(tmp_path / 'foreign.pth', dict(state_dict=dict(foo=torch.zeros(1))))
    with pytest.raises(ValueError, match='foreign.pth is of another model'):
        build_runner(runner_config(tmp_path, load_from=foreign))
    cfg = runner_config(tmp_path)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=foreign)
    with pytest.raises(ValueError, match='foreign.pth is of another model'):
        build_runner(cfg)
    cfg.model.backbone.init_cfg.checkpoint = 'nowhere.pth'
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        build_runner(cfg)


@pytest.mark.parametrize('part', ['backbone', 'neck'])
def test_weights_of_a_part_are_found_or_it_is_an_error(part, tmp_path):
    model = MODELS.build(tiny_model_config())
    whole = save(tmp_path / 'whole.pth', dict(state_dict=model.state_dict()))
    own = save(tmp_path / 'own.pth', model.get_submodule(part).state_dict())

    def build(**init: object) -> Runner:
        cfg = runner_config(tmp_path)
        cfg.model[part].init_cfg = dict(type='Pretrained', **init)
        return build_runner(cfg)

    with pytest.raises(ValueError, match=f'{part}.init_cfg: .* there is no file, but checkpo'):
        build(file=whole)
    for init in (dict(checkpoint=whole), dict(checkpoint=whole, prefix='decoders')):
        with pytest.raises(ValueError, match=f"whole.pth: .* needs prefix='{part}'"):
            build(**init)
    for init in (dict(checkpoint=whole, prefix=part), dict(checkpoint=own)):
        runner = build(**init)
        runner.model.init_weights()
        for name, value in runner.model.get_submodule(part).state_dict().items():
            assert torch.equal(value, model.get_submodule(part).state_dict()[name])
    cfg = runner_config(tmp_path)
    cfg.model.init_cfg = dict(type='Pretrained', checkpoint=whole, prefix='backbone.')
    with pytest.raises(ValueError, match='model.init_cfg: .* there is no prefix'):
        build_runner(cfg)


def test_weights_that_a_checkpoint_replaces_are_not_looked_for(tmp_path):
    fitting = save(tmp_path / 'fits.pth', MODELS.build(tiny_model_config()).state_dict())
    cfg = runner_config(tmp_path, load_from=fitting)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='nowhere.pth')
    assert 'nowhere.pth' not in str(build_runner(cfg).model.backbone.init_cfg)


@pytest.mark.parametrize('given, expected', [(None, ':4096:8'), (':16:8', ':16:8')])
def test_deterministic_runs_tell_cublas_before_it_starts(given, expected, tmp_path, monkeypatch):
    name = 'CUBLAS_WORKSPACE_CONFIG'
    monkeypatch.setenv(name, given) if given else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launch, 'KeepingRunner', SimpleNamespace(from_cfg=lambda cfg: 1 / 0))
    for deterministic, found in ((False, given), (True, expected)):
        with pytest.raises(ZeroDivisionError):  # nothing of CUDA has started before
            build_runner(runner_config(tmp_path, randomness=dict(deterministic=deterministic)))
        assert os.environ.get(name) == found
    monkeypatch.setenv(name, '')  # what was set in between is gone after the test


def test_nothing_to_resume_is_said(tmp_path, capsys):
    runner = build_runner(runner_config(tmp_path, resume=True))
    assert f'nothing to resume in {tmp_path}' in capsys.readouterr().out
    assert not runner._resume


def test_slurm_without_slurm_is_one_clear_error(monkeypatch):
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'SLURM_PROCID', 'MASTER_ADDR'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match='SLURM_PROCID.* not set; start the command by srun'):
        _translate_slurm()
    for name in ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_NNODES'):
        monkeypatch.setenv(name, '2')
    with pytest.raises(RuntimeError, match='set MASTER_ADDR'):
        _translate_slurm()


def test_processes_of_torchrun_without_the_flag_are_told_of_it(monkeypatch, tmp_path, capsys):
    """Before anything is done in the work dir, which the first of them would hold."""
    monkeypatch.setenv('RANK', '1')
    for number in ('1', '2'):
        monkeypatch.setenv('WORLD_SIZE', number)
        with running_here(), pytest.raises(SystemExit):
            load_tool('train.py').main(['synthetic/demo', '--work-dir', str(tmp_path / 'run'),
                                        '--cfg-options', 'train_dataloader.dataset.data_root=/x'])
        text = capsys.readouterr().err.splitlines()[-1]
        assert ('--launcher pytorch' in text) == (number == '2')
    assert not (tmp_path / 'run').exists()


def test_autocast_computes_in_bfloat16():
    wrapper = AutocastOptimWrapper(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))
    layer = nn.Linear(4, 4)
    with wrapper.optim_context(layer):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    assert layer(torch.ones(1, 4)).dtype == torch.float32
    with pytest.raises(ValueError, match="must be 'bfloat16'.*got 'float16'"):
        AutocastOptimWrapper(wrapper.optimizer, dtype='float16')


def test_bfloat16_losses_are_close_to_float32_s(batch):
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_config(noise_scale=0.0))
    full = model(*batch, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(*batch, mode='loss')
    for name in full:
        assert half[name].dtype == torch.float32
        assert half[name].item() == pytest.approx(full[name].item(), rel=0.05, abs=1e-3)


def test_noise_depends_on_seed_rank_and_iteration_alone(monkeypatch):
    def draw(seed: int, rank: int, iteration: int) -> float:
        monkeypatch.setattr('mtpsl.engine.hooks.reseed_hook.get_rank', lambda: rank)
        ReseedHook().before_train_iter(SimpleNamespace(seed=seed, iter=iteration), 0)
        return torch.randn(1).item()

    first = draw(0, 0, 0)
    torch.randn(5)
    assert draw(0, 0, 0) == first
    assert len({first, draw(1, 0, 0), draw(0, 1, 0), draw(0, 0, 1)}) == 4


def test_only_endless_samplers_can_be_without_a_batch():
    """Whatever the length of their loader says."""
    from types import SimpleNamespace

    from mmengine.dataset import InfiniteSampler
    from mmengine.runner import EpochBasedTrainLoop

    from mtpsl.engine.checks.batches import batch_doubts

    class Loader(list):
        dataset, batch_size = [1, 2, 3], 4

    epochs = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    endless = Loader()
    endless.sampler = InfiniteSampler([1, 2, 3])
    told, = batch_doubts(SimpleNamespace(train_loop=object(), train_dataloader=endless))
    assert 'sampler is InfiniteSampler: random transforms' in told
    runner = SimpleNamespace(train_loop=epochs, train_dataloader=Loader([1, 2, 3, 4]),
                             cfg=Config(dict(optim_wrapper=dict(accumulative_counts=2))))
    assert not list(batch_doubts(runner))
    runner.cfg.optim_wrapper.accumulative_counts = 3
    told, = batch_doubts(runner)
    assert 'accumulative_counts=3 does not divide the 4 steps' in told
    for loop, world_size in (epochs, 2), (object(), 1):
        with pytest.raises(ValueError, match='the 3 training images make no batch of 4 on '
                                             f'{world_size} processes'):
            list(batch_doubts(SimpleNamespace(train_loop=loop, train_dataloader=Loader(),
                                              world_size=world_size)))


@pytest.mark.parametrize('workers, ahead, batch, limit, told', [
    (4, 2, 48, 256, True), (4, 2, 48, 1024, False), (0, None, 1000, 30, False),
    (2, 2, 192, 768, True), (2, 2, 192, 769, False), (2, 2, None, 30, False)])
def test_batches_that_need_more_open_files_than_there_may_be(workers, ahead, batch, limit, told):
    from types import SimpleNamespace

    from mtpsl.engine.checks.batches import too_many_files

    loader = SimpleNamespace(num_workers=workers, prefetch_factor=ahead, batch_size=batch)
    found = too_many_files(loader, limit)
    assert bool(found) == told == ('ulimit -n' in found)
