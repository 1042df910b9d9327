"""Names of the published weights, and what does not fit."""

from types import SimpleNamespace

import pytest
from test_tools.reference_checkpoint import BUFFERS, published_shapes
from tiny import PASCAL_TASKS, tiny_model_config

from mtpsl.data_prep.conversion.reference import (
    check_model,
    convert_weights,
    is_schedule_buffer,
    reference_name,
)
from mtpsl.registry import MODELS

NAMES = {
    'backbone.layer4.0.downsample.1.running_var': 'backbone.layer4.0.downsample.1.running_var',
    'backbone_embed.bias': 'neck.conv.bias',
    'preliminary_dec.human_parts.1.bn2.weight': 'decoders.decode.parsing.1.bn2.weight',
    'preliminary_head.sal.0.weight': 'decoders.predict.saliency.weight',
    'preliminary_head.depth.0.bias': 'decoders.predict.depth.bias',
    'diffusion_model.pred_combinator.out_layer.weight': 'diffusion.condition.reduce.weight',
    'diffusion_model.denoiser.pre_layer.edge.bias': 'diffusion.denoiser.embed.boundary.bias',
    'diffusion_model.denoiser.t_embedder.mlp.2.weight':
        'diffusion.denoiser.step_embedding.mlp.2.weight',
    'diffusion_model.denoiser.task_heads.normals.5.bias': 'diffusion.denoiser.heads.normal.5.bias',
    'diffusion_model.denoiser.final_task_heads.semseg.linear_pred.weight':
        'diffusion.final.semseg.weight',
    'diffusion_model.denoiser.crossblocks.3.mlp_kv.fc2.bias':
        'diffusion.denoiser.blocks.3.ffn_embedding.2.bias',
    'diffusion_model.denoiser.crossblocks.0.norm_kv.weight':
        'diffusion.denoiser.blocks.0.norm_embedding.weight',
    'diffusion_model.denoiser.crossblocks.12.attn.kv.weight':
        'diffusion.denoiser.blocks.12.attention.kv.weight'}


def shaped(*shape: int) -> SimpleNamespace:
    return SimpleNamespace(shape=shape)


# A model of two weights, and theirs.
MODEL = {'neck.conv.bias': shaped(8), 'diffusion.final.normal.bias': shaped(3)}
THEIRS = {'diffusion_model.denoiser.final_task_heads.normals.linear_pred.bias': shaped(3),
          'backbone_embed.bias': shaped(8)}


@pytest.mark.parametrize('theirs, ours', NAMES.items())
def test_their_names_of_our_weights(theirs, ours):
    assert reference_name(ours) == theirs


def test_the_weights_of_our_model_are_those_that_are_published():
    config = tiny_model_config('FeatureDiffusion')
    config['decoder']['num_blocks'] = 2
    config['diffusion'] |= dict(num_blocks=4, head_convs=3)
    names = [reference_name(name) for name in MODELS.build(config).state_dict()]
    assert set(names) == set(published_shapes()) and len(names) == 398


@pytest.mark.parametrize('key', [
    'backbone', 'backbonex.conv1.weight', 'neck.convx.weight', 'decoders.predict.albedo.weight',
    'decoders.predict.sal.weight', 'diffusion.denoiser.blocks.x.norm_ffn.bias',
    'backbone_embed.bias'])
def test_names_that_have_no_counterpart(key):
    assert reference_name(key) is None


def test_every_weight_of_a_resnet_50_has_a_published_name():
    """Its bottlenecks have a third convolution; all else is as with ResNet-18."""
    config = tiny_model_config('FeatureDiffusion')
    config['backbone']['depth'] = 50
    config['neck']['in_channels'] = (32, 64, 128, 256)
    state = MODELS.build(config).state_dict()
    check_model(state, list(PASCAL_TASKS))
    assert 'backbone.layer1.2.bn3.running_mean' in state
    theirs = [reference_name(name) for name in state]
    assert 'backbone.layer1.2.bn3.running_mean' in theirs and len(set(theirs)) == len(theirs)


def test_schedule_buffers_lie_directly_in_the_diffusion_model():
    assert all(is_schedule_buffer(f'diffusion_model.{name}') for name in BUFFERS)
    assert not any(map(is_schedule_buffer, published_shapes()))
    assert not is_schedule_buffer('betas')


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_weights_in_the_model_s_order_without_buffers(prefix):
    buffer = {f'{prefix}diffusion_model.betas': shaped(2)}
    weights = {prefix + key: value for key, value in THEIRS.items()} | buffer
    converted, dropped = convert_weights(weights, MODEL)
    assert list(converted) == list(MODEL)
    assert [value.shape for value in converted.values()] == [(8,), (3,)]
    assert dropped == ['diffusion_model.betas']


def test_differences_are_listed_by_the_published_names():
    weights = {'backbone_embed.bias': shaped(4), 'backbone.fc.weight': shaped(1), 'x': shaped(1)}
    with pytest.raises(ValueError) as info:
        convert_weights(weights, MODEL)
    assert str(info.value) == (
        '1 weights are missing: diffusion_model.denoiser.final_task_heads.normals.linear_pred.bias'
        '; 2 are not of the model: backbone.fc.weight, x'
        '; 1 are of another shape: backbone_embed.bias (4,) for neck.conv.bias (8,)')


def test_a_prefix_on_some_names_only_is_no_prefix():
    weights = {'module.backbone_embed.bias': shaped(8), **THEIRS}
    with pytest.raises(ValueError, match='^1 are not of the model: module.backbone_embed.bias$'):
        convert_weights(weights, MODEL)


def test_many_differences_are_counted_and_all_of_them_listed():
    weights = THEIRS | {f'extra{n}': shaped(1) for n in range(7)}
    with pytest.raises(ValueError, match=r'^7 are not of the model: extra0, .*, extra5, extra6$'):
        convert_weights(weights, MODEL)


def test_weights_of_ours_that_the_published_model_lacks():
    with pytest.raises(ValueError, match='no counterpart of 1 weights: neck.fuse.bias'):
        check_model([*MODEL, 'neck.fuse.bias'], ['normal'])


@pytest.mark.parametrize('tasks', [
    list(PASCAL_TASKS), ['semseg', 'depth', 'normal'], ['semseg', 'depth'], ['boundary']])
def test_published_orders_of_the_tasks(tasks):
    check_model(MODEL, tasks)


def test_another_order_of_the_tasks_would_mix_up_their_channels():
    with pytest.raises(ValueError, match='in the order semseg, normal; the order of the tasks is '
                                         'normal, semseg'):
        check_model(MODEL, ['normal', 'semseg'])
