"""A checkpoint as a small file to share."""

import pytest
import torch
from in_process import load_tool
from safetensors.torch import load_file
from tiny import tiny_model_config

from mtpsl.engine.checkpoints.fits import check_checkpoint
from mtpsl.registry import MODELS

TOOL = load_tool('model_converters/publish.py')


def test_the_weights_alone_in_half_precision_fit_the_model(tmp_path, capsys):
    model = MODELS.build(tiny_model_config())
    checkpoint, out = tmp_path / 'epoch_1.pth', tmp_path / 'shared' / 'weights.safetensors'
    torch.save(dict(state_dict=model.state_dict(), optimizer=dict(state=[torch.zeros(10**6)]),
                    meta=dict(epoch=1)), checkpoint)
    TOOL.main([str(checkpoint), str(out)])
    assert 'tensors' in capsys.readouterr().out
    weights = load_file(out)
    for name, values in model.state_dict().items():
        if values.is_floating_point():
            assert weights[name].dtype == torch.float16
            torch.testing.assert_close(weights[name].float(), values, rtol=1e-3, atol=1e-7)
        else:
            assert torch.equal(weights[name], values)
    assert out.stat().st_size < checkpoint.stat().st_size / 2
    check_checkpoint(str(out), model)


@pytest.mark.parametrize('content, message', [
    (dict(state_dict=dict(a=torch.tensor([1e6]))), 'a holds numbers that are not finite or beyond'),
    (dict(a=torch.tensor([float('nan')])), 'holds weights that are not finite, 1 of them: a'),
    (dict(state_dict={}), 'holds no weights by name'), ([1], 'holds no weights by name'),
    (dict(a=3), 'holds no weights by name')])
def test_what_cannot_be_published_is_named(content, message, tmp_path, capsys):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(SystemExit):
        TOOL.main([str(tmp_path / 'a.pth'), str(tmp_path / 'a.safetensors')])
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'a.safetensors').exists()


def test_nothing_is_overwritten_without_being_told(tmp_path, capsys):
    torch.save(dict(a=torch.ones(1)), tmp_path / 'a.pth')
    (tmp_path / 'b.safetensors').write_text('mine')
    for out, message in (('b.safetensors', 'exists; give --force'), ('b.pth', 'must be a')):
        with pytest.raises(SystemExit):
            TOOL.main([str(tmp_path / 'a.pth'), str(tmp_path / out)])
        assert message in capsys.readouterr().err
    assert (tmp_path / 'b.safetensors').read_text() == 'mine'
    TOOL.main([str(tmp_path / 'a.pth'), str(tmp_path / 'b.safetensors'), '--force'])
    assert load_file(tmp_path / 'b.safetensors')['a'] == 1


def test_a_damaged_file_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / 'a.safetensors').write_bytes(b'\x10\0\0\0\0\0\0\0{"a":1}')
    with pytest.raises(ValueError, match=r'a\.safetensors is not a checkpoint, or it is damaged'):
        check_checkpoint(str(tmp_path / 'a.safetensors'), MODELS.build(tiny_model_config()))
