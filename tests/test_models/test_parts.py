"""Neck, decoders, step embedding and attention against plain formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mtpsl.models import ConcatenatedCondition, MultiScaleFusion, TaskDecoders
from mtpsl.models.decoder import ResidualBlock
from mtpsl.models.diffusion import Denoiser
from mtpsl.models.diffusion.blocks import Attention, StepEmbedding
from mtpsl.tasks import build_tasks


def test_neck_resizes_all_stages_to_half_of_the_first():
    neck = MultiScaleFusion((1, 2), 3)
    nn.init.zeros_(neck.conv.weight)
    neck.conv.weight.data[0, 0, 1, 1] = 1  # output 0 copies stage 1, output 1 stage 2's first map
    neck.conv.weight.data[1, 1, 1, 1] = 1
    neck.conv.bias.data[2] = 5.0
    fine, coarse = torch.arange(64.).view(1, 1, 8, 8), torch.randn(1, 2, 4, 4)
    out = neck([fine, coarse])
    assert out.shape == (1, 3, 4, 4)
    # Halving with corners not aligned averages each 2x2 block.
    torch.testing.assert_close(out[:, :1], F.avg_pool2d(fine, 2) + neck.conv.bias[0])
    torch.testing.assert_close(out[:, 1], coarse[:, 0] + neck.conv.bias[1])
    assert (out[:, 2] == 5).all()


def test_neck_at_the_first_stage_s_own_resolution():
    neck = MultiScaleFusion((1, 2), 3, scale=1.0)
    assert neck([torch.randn(1, 1, 8, 8), torch.randn(1, 2, 4, 4)]).shape == (1, 3, 8, 8)


@pytest.mark.parametrize('arguments, message', [
    (dict(scale=0), 'scale must be positive, got 0'), (dict(stride=0.5), 'stride must be at least'),
    (dict(scale=0.5, stride=8), 'scale and stride')])
def test_sizes_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleFusion(**arguments)


def test_initial_weights_are_the_published_ones():
    torch.manual_seed(0)
    tasks = build_tasks(dict(semseg=dict(type='Semseg'), depth=dict(type='Depth')))
    denoiser = Denoiser(dict(depth=1), dict(depth=1), 256, 1, 4, 4, 1, conditioned=True)
    for layer in denoiser.step_embedding.mlp[::2]:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert not layer.bias.any()
    q = denoiser.blocks[0].attention.q.weight  # Xavier-uniform: bound sqrt(6 / (in + out))
    assert q.abs().max().item() == pytest.approx(math.sqrt(6 / 512), rel=1e-3)
    assert not denoiser.blocks[0].ffn[0].bias.any()
    # Kaiming-normal, fan-out: std sqrt(2 / (9 C)).
    condition = ConcatenatedCondition(tasks, 64)
    assert condition.reduce.weight.std().item() == pytest.approx(math.sqrt(2 / 576), rel=0.03)


def test_residual_block_is_its_formula():
    block = ResidualBlock(4, dict(type='BN')).eval()
    x = torch.randn(2, 4, 5, 5)
    inner = F.relu(block.bn1(F.conv2d(x, block.conv1.weight, padding=1)))
    expected = F.relu(x + block.bn2(F.conv2d(inner, block.conv2.weight, padding=1)))
    torch.testing.assert_close(block(x.clone()), expected)


def test_decoders_have_their_own_weights_and_channels():
    tasks = build_tasks(dict(semseg=dict(type='Semseg'), depth=dict(type='Depth')))
    features, predictions = TaskDecoders(tasks, 8, 2)(torch.randn(1, 8, 4, 4))
    assert predictions['semseg'].shape == (1, 21, 4, 4)
    assert predictions['depth'].shape == (1, 1, 4, 4)
    assert not torch.equal(features['semseg'], features['depth'])


def test_step_embedding_starts_with_cosines():
    embedding = StepEmbedding(4)
    seen = []
    embedding.mlp = nn.Module()
    embedding.mlp.forward = lambda x: seen.append(x) or x
    embedding(1), embedding(3)
    torch.testing.assert_close(seen[0], torch.cat([torch.ones(128), torch.zeros(128)]))
    assert seen[1][0].item() == pytest.approx(math.cos(2.0))  # s = 3 is time 2
    assert seen[1][128].item() == pytest.approx(math.sin(2.0), abs=1e-6)
    assert seen[1][127].item() == pytest.approx(math.cos(2 * 10000 ** (-127 / 128)))


def test_attention_equals_torch_multihead():
    ours, theirs = Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.kv.weight]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(ours.proj.weight)
        theirs.out_proj.bias.copy_(ours.proj.bias)
    q, kv = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    torch.testing.assert_close(ours(q, kv), theirs(q, kv, kv)[0], atol=1e-6, rtol=1e-5)
    with pytest.raises(ValueError, match='multiple of num_heads = 3, got 8'):
        Attention(8, 3)
