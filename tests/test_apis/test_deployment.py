"""Exported graphs give what the model predicts, with the noise that it is given."""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from in_process import ROOT, load_tool
from mmengine.config import Config
from tiny import tiny_model_config, tiny_regularized_config
from torch.export.passes import move_to_device_pass

from mtpsl.apis import MultiTaskInferencer
from mtpsl.apis.deployment import Deployed, differences
from mtpsl.registry import MODELS, TRANSFORMS
from mtpsl.structures import MultiTaskSample

MODELS_EXPORTED = dict(
    prediction=tiny_model_config(), feature=tiny_model_config('FeatureDiffusion'),
    baseline=tiny_regularized_config('ViewConsistency'))


def saved(config, folder):
    """A config file and a checkpoint of random weights whose maps vary from pixel to pixel."""
    torch.manual_seed(0)
    model = MODELS.build(config)
    for name, values in model.named_parameters():
        is_last = values.shape[1:] == (16, 1, 1) and len(values) != 16
        if is_last and name.startswith(('diffusion.denoiser.heads', 'diffusion.final')):
            values.data.mul_(100)
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'model.pth')
    Config(dict(model=config)).dump(folder / 'model.py')
    return [str(folder / 'model.py'), str(folder / 'model.pth')]


def predicted(model, image):
    """What testing gives for (1, 3, H, W) RGB bytes; and the noise that it draws."""
    drawn = []
    if hasattr(model, 'test_noise'):
        test_noise = model.test_noise

        def keep(*arguments):
            drawn.append(test_noise(*arguments))
            return drawn[-1]
        model.test_noise = keep
    data = dict(inputs=[image[0].flip(0)], data_samples=[
        MultiTaskSample(metainfo=dict(img_id='image'))])
    with torch.no_grad():
        sample, = model.test_step(data)
    return sample.pred, drawn[0] if drawn else None


@pytest.mark.parametrize('name, suffix', [
    ('prediction', 'onnx'), ('feature', 'pt2'), ('baseline', 'onnx')])
def test_an_exported_file_predicts_as_testing_does(name, suffix, tmp_path, capsys, monkeypatch):
    config, checkpoint = saved(MODELS_EXPORTED[name], tmp_path)
    out = tmp_path / f'model.{suffix}'
    out.write_text('an earlier one')
    load_tool('deployment/export.py').main([config, checkpoint, '--out', str(out), '--force'])
    assert 'equal to PyTorch within 0.0001' in capsys.readouterr().out
    model = MultiTaskInferencer(config, checkpoint, 'cpu').model
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    pred, noise = predicted(model, image)
    description = json.loads((tmp_path / f'model.{suffix}.json').read_text())
    inputs = [image]
    if noise is not None:
        channels = description['inputs']['noise']['channels']
        assert channels == {task: draws.shape[2] for task, draws in noise.items()}
        inputs.append(torch.cat([noise[task] for task in channels], 2))
    assert [value['shape'] for value in description['inputs'].values()] == [
        list(value.shape) for value in inputs]
    if suffix == 'onnx':
        session = onnxruntime.InferenceSession(out)
        assert [value.name for value in session.get_outputs()] == list(description['outputs'])
        outputs = session.run(None, dict(zip(description['inputs'], [x.numpy() for x in inputs])))
    else:
        program = torch.export.load(out)
        with torch.no_grad():
            outputs = [m.numpy() for m in program.module()(*inputs)]
            # It moves to another device with its constants; an example lies where the model does.
            inputs = Deployed(model.to('meta')).example(1, (64, 64))
            moved = move_to_device_pass(program, 'meta').module()(*inputs)
        assert {(m.device.type, m.shape[-1]) for m in moved} == {('meta', 64)}
    for task, found in zip(description['outputs'], outputs, strict=True):
        expected = getattr(pred, task)[None].numpy()
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    if name == 'prediction' and suffix == 'onnx':
        monkeypatch.chdir(tmp_path)
        code, = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/deployment.md').read_text(),
                           re.DOTALL)
        result: dict[str, object] = {}
        exec(code.replace('512, 512', '64, 64'), result)
        assert list(result['maps']) == list(description['outputs'])
    # The tool's own bound can be broken: by the file of one model against another.
    with pytest.warns(UserWarning, match='untrained'):
        other = Deployed(MultiTaskInferencer(config, device='cpu').model)
    assert max(differences(other, out, other.example(1, (64, 64))).values()) > 1e-2


@TRANSFORMS.register_module()
class Halving:
    """A user's transform."""

    moves = 'image and labels'

    def __call__(self, results: dict) -> dict:
        return results | dict(img=results['img'][::2, ::2])


@pytest.mark.parametrize('steps, told', [
    ([dict(type='LoadImageFromFile', color_type='grayscale'), dict(type='mmseg.CLAHE')],
     ", after color_type='grayscale', CLAHE"),
    ([dict(type='LoadImageFromFile'), dict(type='RandomScale', scale_range=(0.5, 0.5))],
     ', after RandomScale by 0.5'),
    ([dict(type='LoadImageFromFile'), dict(type='Halving')],
     ', after tests.Halving, which moves pixels'),
    ([dict(type='LoadImageFromFile')], ''), ([], '')])
def test_what_images_need_before_the_graph_is_told(steps, told, tmp_path, capsys, monkeypatch):
    config, checkpoint = saved(tiny_model_config(), tmp_path)
    cfg = Config.fromfile(config)
    cfg.test_dataloader = dict(dataset=dict(type='FolderDataset', data_root='x', pipeline=steps))
    cfg.dump(config)
    monkeypatch.setattr('mtpsl.apis.deployment.export',
                        lambda module, example, path: path.write_text('graph'))
    monkeypatch.setattr('mtpsl.apis.deployment.differences', lambda *_: {})
    out = tmp_path / 'model.pt2'
    load_tool('deployment/export.py').main([config, checkpoint, '--out', str(out)])
    content = json.loads((tmp_path / 'model.pt2.json').read_text())['inputs']['image']['content']
    assert content == f'RGB, 0 to 255{told}'
    said = capsys.readouterr().err
    assert told[2:] in said and bool(told) == ('note: the graph takes images after' in said)


def test_an_export_is_of_one_draw_of_noise(tmp_path, monkeypatch, capsys):
    config, checkpoint = saved(tiny_model_config(), tmp_path)
    cfg = Config.fromfile(config)
    monkeypatch.setattr('mtpsl.apis.deployment.export',
                        lambda module, example, path: path.write_text('graph'))
    monkeypatch.setattr('mtpsl.apis.deployment.differences', lambda *_: {})
    for draws in (1, 3):
        cfg.model.num_samples = draws
        cfg.dump(config)
        out = tmp_path / f'{draws}.pt2'
        load_tool('deployment/export.py').main([config, checkpoint, '--out', str(out)])
        content = json.loads(Path(f'{out}.json').read_text())['inputs']['noise']['content']
        assert ('num_samples=3' in content) == ('num_samples=3' in capsys.readouterr().err)
        assert ('num_samples=3' in content) == (draws == 3)


def test_the_noise_counts_and_a_difference_is_an_error(tmp_path, monkeypatch, capsys):
    module = Deployed(MODELS.build(tiny_model_config()).eval())
    image, noise = module.example(1, (64, 64))
    with torch.no_grad():
        assert not torch.equal(module(image, noise)[3], module(image, 0 * noise)[3])
    tool = load_tool('deployment/export.py')
    monkeypatch.setattr('mtpsl.apis.deployment.export',
                        lambda module, example, path: path.write_text('graph'))
    monkeypatch.setattr('mtpsl.apis.deployment.differences',
                        lambda *_: dict(semseg=2e-4, depth=float('nan')))
    with pytest.raises(SystemExit):
        tool.main([*saved(tiny_model_config(), tmp_path), '--out', str(tmp_path / 'model.pt2')])
    assert "more than 0.0001: {'semseg': 0.0002, 'depth': nan}" in capsys.readouterr().err
    assert not (tmp_path / 'model.pt2').exists()


@pytest.mark.parametrize('name, inputs', [
    ('without_both', ('image',)), ('one_step', ('image', 'noise'))])
def test_models_whose_noise_is_an_input(name, inputs):
    """The module itself, before any export, against testing; D = 1 for the direct sampler."""
    options = dict(without_both=dict(condition=None, noise_scale=0.0),
                   one_step=dict(sampler='direct'))[name]
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_config(**options)).eval()
    module, image = Deployed(model), torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    assert module.input_names == inputs and len(module.example(2, (64, 64))) == len(inputs)
    pred, noise = predicted(model, image)
    inputs = [image]
    if noise and noise['semseg'] is not None:
        inputs.append(torch.cat([noise[task] for task in sorted(noise)], 2))
    with torch.no_grad():
        for task, found in zip(model.tasks, module(*inputs), strict=True):
            torch.testing.assert_close(found[0], getattr(pred, task))


def test_a_preprocessor_of_bgr_models_gets_bgr():
    torch.manual_seed(0)
    config = tiny_model_config() | dict(data_preprocessor=dict(size=(64, 64), bgr_to_rgb=False))
    module = Deployed(MODELS.build(config).eval())
    image = module.example(1, (64, 64))[0]
    bgr = dict(inputs=image.flip(1), data_samples=None)
    expected = module.model.data_preprocessor(bgr)['inputs']
    torch.testing.assert_close(module.normalise(image), expected)


@pytest.mark.parametrize('arguments, message', [
    (['--out', 'model.pb'], r'end in .pt2 or .onnx, got model.pb'),
    (['--out', 'nowhere/model.onnx'], 'no folder nowhere'),
    (['--out', 'model.pt2', '--size', '60', '64'], r'multiples of .*32, got \(60, 64\)'),
    (['--out', 'model.pt2', '--batch', '0'], 'at least 1, got 0')])
def test_arguments_are_checked(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        load_tool('deployment/export.py').main([*saved(tiny_model_config(), tmp_path), *arguments])
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / 'model.pt2').exists()
