"""The converter of published checkpoints, on a shrunk one."""

import json
import os
import zipfile
from pathlib import Path

import pytest
import torch

from .conftest import ROOT, run
from .reference_checkpoint import (
    BUFFERS,
    SHRUNK,
    load_main,
    save_checkpoint,
    seeded_weights,
    shrunk_shapes,
)

FEATURE = ROOT / 'configs/diffusionmtl/pascal_onelabel_r18_feature.py'
PREDICTION = ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py'


class Code:
    """What a malicious file holds: a call."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ('code_was_run',)


@pytest.fixture(scope='module')
def weights() -> dict[str, torch.Tensor]:
    return seeded_weights(shrunk_shapes())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config of the shrunk model."""
    path = tmp_path / 'shrunk.py'
    path.write_text(SHRUNK.format(base=str(FEATURE)))
    return path


@pytest.fixture
def source(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Path:
    return save_checkpoint(tmp_path / 'published.pth.tar', weights, 'module.')


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the converter ends with."""
    with pytest.raises(SystemExit) as info:
        load_main()([str(argument) for argument in arguments])
    assert info.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix('reference_to_mtpsl.py: error: ')


def test_the_test_tool_takes_a_converted_checkpoint(source, config, scenes, tmp_path):
    target = tmp_path / 'ours.pth'
    done = run('model_converters/reference_to_mtpsl.py', source, target, '--config', config,
               fresh=True)
    assert done.stdout.splitlines()[-3:] == [
        f'398 weights converted, {len(BUFFERS)} schedule buffers dropped',
        f'written: {target}', f'test it: python tools/test.py {config} {target}']
    run('test.py', config, target, '--work-dir', tmp_path, '--cfg-options',
        f'test_dataloader.dataset.data_root={scenes}', 'test_evaluator.workers=0',
        'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False')
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert {'semseg/mIoU', 'normal/mErr', 'initial/boundary/odsF'} <= set(metrics)


def test_what_is_written(source, config, weights, tmp_path):
    target = tmp_path / 'ours.pth'
    load_main()([str(source), str(target), '--config', str(config)])
    content = torch.load(target, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    assert content['meta']['converted_from'] == 'published.pth.tar'
    assert content['meta']['converted_for'] == 'shrunk.py'
    state = content['state_dict']
    assert len(state) == len(weights)
    assert torch.equal(state['diffusion.denoiser.blocks.2.norm_embedding_ffn.bias'],
                       weights['diffusion_model.denoiser.crossblocks.2.norm2_kv.bias'])
    assert torch.equal(state['decoders.decode.saliency.0.conv2.weight'],
                       weights['preliminary_dec.sal.0.conv2.weight'])
    left = {path.name for path in tmp_path.iterdir()} - {'__pycache__'}
    assert left == {'ours.pth', 'published.pth.tar', 'shrunk.py'}


def test_weights_that_are_not_finite_are_not_converted(config, weights, tmp_path, capsys):
    found_inf = dict(weights)
    name = next(name for name, value in weights.items() if value.ndim == 4)
    found_inf[name] = torch.full_like(weights[name], float('nan'))
    source = save_checkpoint(tmp_path / 'found_inf.tar', found_inf)
    line = fails(capsys, source, tmp_path / 'ours.pth', '--config', config)
    assert f'{source} holds weights that are not finite, 1 of them: {name}' in line
    assert not (tmp_path / 'ours.pth').exists()


def test_the_order_of_a_config_s_tasks_makes_no_difference(source, config, tmp_path):
    """Each task's channels meet the published weights of that task."""
    other = tmp_path / 'other.py'
    other.write_text(config.read_text() + 'tasks = dict(_delete_=True, **{name: dict('
                     'type=name.capitalize()) for name in sorted(('
                     "'semseg', 'parsing', 'saliency', 'normal', 'boundary'))})\n"
                     'tasks["boundary"]["loss_weight"] = 50.0\n')
    states = []
    for path in (config, other):
        load_main()([str(source), str(tmp_path / f'{path.stem}.pth'), '--config', str(path)])
        states.append(torch.load(tmp_path / f'{path.stem}.pth', weights_only=True)['state_dict'])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_an_existing_file_is_overwritten_by_force_only(source, config, tmp_path, capsys):
    target = tmp_path / 'ours.pth'
    target.write_text('precious')
    arguments = [source, target, '--config', config]
    assert f'DST {target} exists; give --force' in fails(capsys, *arguments)
    assert target.read_text() == 'precious'
    load_main()([*map(str, arguments), '--force'])
    assert 'state_dict' in torch.load(target, weights_only=True)


def test_scores_in_the_names_of_an_older_numpy_do_not_matter(source, config, tmp_path):
    renamed, target = tmp_path / 'renamed.pth', tmp_path / 'ours.pth'
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(renamed, 'w') as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith('data.pkl'):
                content = content.replace(b'numpy._core', b'numpy.core')
                assert b'numpy.core.multiarray' in content  # best_result
            new.writestr(name, content)
    load_main()([str(renamed), str(target), '--config', str(config)])
    assert target.is_file()


@pytest.mark.parametrize('src, dst, message', [
    ('nowhere.pth', 'ours.pth', 'SRC nowhere.pth does not exist'),
    ('.', 'ours.pth', 'SRC . is a folder, not a checkpoint file'),
    ('published.pth.tar', 'ours.pt', 'DST must be a .pth file, got ours.pt'),
    ('published.pth.tar', 'nowhere/ours.pth', 'DST nowhere/ours.pth: there is no folder nowhere'),
    ('published.pth.tar', 'folder.pth', 'DST must be a file, folder.pth is a folder'),
    ('same.pth', 'same.pth', 'DST same.pth is SRC itself')])
def test_bad_paths(src, dst, message, source, config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path('folder.pth').mkdir()
    Path('same.pth').write_text('')
    assert fails(capsys, src, dst, '--config', config, '--force').startswith(message + '  [')


@pytest.mark.parametrize('content, message', [
    (b'no checkpoint\n', '{src} is not a checkpoint, or it is damaged ('),
    (b'', '{src} is not a checkpoint, or it is damaged ('),
    (dict(model=dict(a=torch.zeros(1)), hook=Code()),
     '{src} is refused: it holds posix.mkdir, which could run code; only tensors'),
    (torch.nn.Linear(1, 1), '{src} is refused: it holds torch.nn.modules.linear.Linear,'),
    ([1, 2], "{src} must hold a dict with 'model', got a list"),
    (dict(state_dict={}, meta={}), "{src} has no 'model', where the published implementation "
     'keeps the weights; it has meta, state_dict'),
    (dict(model=3), "{src}: 'model' must be a dict of tensors, got a int"),
    (dict(model=dict(a=3)), "{src}: 'model' must hold tensors by name, 'a' is a int"),
    (dict(model={}), '{src} does not fit the model of {config}: 398 weights are missing: '
     'backbone.conv1.weight, ')])
def test_files_that_are_no_published_checkpoint(content, message, config, tmp_path, monkeypatch,
                                                capsys):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / 'published.pth'
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        torch.save(content, source)
    line = fails(capsys, source, 'ours.pth', '--config', config)
    assert line.startswith(message.format(src=source, config=config))
    assert not Path('code_was_run').exists() and not Path('ours.pth').exists()


def test_weights_that_do_not_fit_are_named_on_both_sides(weights, config, tmp_path, capsys):
    changed = dict(weights)
    changed['preliminary_head.depth.0.bias'] = torch.zeros(1)
    changed['diffusion_model.pred_combinator.out_layer.weight'] = torch.zeros(16, 4, 3, 3)
    del changed['backbone.conv1.weight']
    source = save_checkpoint(tmp_path / 'other.pth', changed)
    line = fails(capsys, source, tmp_path / 'ours.pth', '--config', config)
    assert line.startswith(
        f'{source} does not fit the model of {config}: '
        '1 weights are missing: backbone.conv1.weight; '
        '1 are not of the model: preliminary_head.depth.0.bias; '
        '1 are of another shape: diffusion_model.pred_combinator.out_layer.weight (16, 4, 3, 3) '
        'for diffusion.condition.reduce.weight (16, 34, 3, 3)  [')
    assert not (tmp_path / 'ours.pth').exists()


@pytest.mark.parametrize('text, message', [
    (SHRUNK.format(base=str(PREDICTION)),
     'must have model.diffusion of FeatureDiffusion with a ConcatenatedCondition, got '
     'PredictionDiffusion with ProjectedCondition'),
    (SHRUNK.format(base=str(FEATURE)) + 'model["diffusion"]["condition"] = None\n',
     'got FeatureDiffusion with NoneType'),
    (f'_base_ = {str(ROOT / "configs/_base_/default_runtime.py")!r}', 'has no model')])
def test_configs_of_other_models(text, message, source, tmp_path, capsys):
    config = tmp_path / 'other.py'
    config.write_text(text)
    line = fails(capsys, source, tmp_path / 'ours.pth', '--config', config)
    assert line.startswith(str(config)) and message in line
