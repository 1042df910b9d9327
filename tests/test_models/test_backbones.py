"""Any backbone: asked for its stages, it trains and predicts; those of timm where it is installed.

timm needs torchvision, which does not import beside a CPU build of PyTorch: docs/backbones.md says
how to run this file in an environment with both.
"""

from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from tiny import make_samples, tiny_model_config
from torch import nn

from mtpsl.models import MultiScaleFusion
from mtpsl.models.stages import check_normalisation, stages_of
from mtpsl.models.timm_backbone import TimmBackbone
from mtpsl.registry import MODELS

try:
    import timm
except (ImportError, RuntimeError):  # absent, or torchvision is of another build of PyTorch
    timm = None

FOUR = (4, 8, 16, 32)
SMALL_VIT = dict(embed_dim=32, depth=2, num_heads=2)
# Name -> config of a thin network, strides of its stages, what images are padded to a multiple of.
FAMILIES = {
    'ResNet': (dict(type='mmseg.ResNet', depth=18, stem_channels=16, base_channels=16), FOUR, 32),
    'ResNetV1c': (dict(type='mmseg.ResNetV1c', depth=18, stem_channels=16, base_channels=16),
                  FOUR, 32),
    'MixVisionTransformer': (dict(type='mmseg.MixVisionTransformer', embed_dims=16,
                                  num_heads=[1, 1, 2, 2], num_layers=[1] * 4), FOUR, 32),
    'Swin': (dict(type='mmseg.SwinTransformer', embed_dims=16, depths=(2, 1, 1, 1),
                  num_heads=(1, 1, 2, 2)), FOUR, 32),
    'MSCAN': (dict(type='mmseg.MSCAN', embed_dims=[16, 32, 32, 64], depths=[1] * 4), FOUR, 32),
    'MobileNetV2': (dict(type='mmseg.MobileNetV2', widen_factor=0.5), FOUR, 32),
    'VisionTransformer': (dict(type='mmseg.VisionTransformer', img_size=64, embed_dims=32,
                               num_layers=2, num_heads=2, out_indices=(0, 1)), (16, 16), 16),
    'timm ConvNeXt': (dict(type='TimmBackbone', name='convnext_atto',
                           options=dict(depths=(1, 1, 1, 1))), FOUR, 32),
    'timm Swin': (dict(type='TimmBackbone', name='swin_tiny_patch4_window7_224', options=dict(
        embed_dim=16, depths=(2, 1, 1, 1), num_heads=(1, 1, 2, 2))), FOUR, 32),
    'timm EfficientNet': (dict(type='TimmBackbone', name='efficientnet_b0'), FOUR, 32),
    'timm ViT': (dict(type='TimmBackbone', name='vit_tiny_patch16_224', out_indices=(0, 1),
                      options=SMALL_VIT), (16, 16), 16),
    'timm DINOv2': (dict(type='TimmBackbone', name='vit_small_patch14_dinov2', out_indices=(0, 1),
                         options=SMALL_VIT), (14, 14), 14),
}
NEEDS_TIMM = pytest.mark.skipif(timm is None, reason='needs timm and torchvision, see '
                                'docs/backbones.md')
CASES = [pytest.param(*case, id=name, marks=NEEDS_TIMM if name.startswith('timm') else ())
         for name, case in FAMILIES.items()]


def build(backbone: dict, divisor: int = 32, **neck: object) -> nn.Module:
    """A small DiffusionMTL whose config says of the neck its width only."""
    config = tiny_model_config()
    config |= dict(backbone=backbone, neck=dict(type='MultiScaleFusion', out_channels=16, **neck),
                   data_preprocessor=dict(size=(64, 96), size_divisor=divisor))
    with DefaultScope.overwrite_default_scope('mtpsl'):
        return MODELS.build(config)


@pytest.mark.parametrize('backbone, strides, divisor', CASES)
def test_one_line_is_enough(backbone: dict, strides: tuple[int, ...], divisor: int) -> None:
    torch.manual_seed(0)
    model = build(backbone, divisor)
    height, width = model.data_preprocessor.least_size
    image = torch.randn(2, 3, height, width)

    # What it is asked is what it does.
    modes = [module.training for module in model.backbone.modules()]
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    state = torch.get_rng_state()
    asked = stages_of(model.backbone, (height, width))
    assert torch.equal(torch.get_rng_state(), state)
    assert modes == [module.training for module in model.backbone.modules()]
    assert all(torch.equal(before[name], value)
               for name, value in model.backbone.state_dict().items())
    stages = model.backbone(image)
    assert asked.in_channels == tuple(stage.shape[1] for stage in stages)
    assert [height // stage.shape[2] for stage in stages] == list(strides)
    assert asked.in_stride == strides[0]
    assert model.neck(stages).shape == (2, 16, height // 8, width // 8)

    batch = dict(inputs=[torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8) for _ in 'ab'],
                 data_samples=make_samples([['semseg', 'normal'], ['boundary']], (60, 90)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    data = model.data_preprocessor(batch, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss) and loss > 0
    idle = [name for name, value in model.backbone.named_parameters()
            if value.requires_grad and value.grad is None]
    assert not idle  # distributed training would wait for them
    optimizer.step()
    for module in model.modules():
        module.training = False
    with torch.no_grad():
        samples = model.test_step(batch)
    assert {sample.pred.semseg.shape for sample in samples} == {(21, 60, 90)}


@pytest.mark.parametrize('neck, size', [
    (dict(), (8, 12)), (dict(stride=4), (16, 24)), (dict(stride=16), (4, 6)),
    (dict(scale=0.25), (4, 6)), (dict(in_stride=8), (16, 24))])
def test_what_a_config_says_of_the_neck_holds(neck: dict, size: tuple[int, int]) -> None:
    model = build(FAMILIES['ResNet'][0], **neck)
    assert model.extract_feat(torch.zeros(1, 3, 64, 96)).shape == (1, 16, *size)


@pytest.mark.parametrize('strides', [(16, 16, 16), (16, 16, 8), (8, 8, 32), (4, 4, 8)])
def test_stages_at_any_strides_are_resized_concatenated_and_convolved(strides) -> None:
    torch.manual_seed(0)
    neck = MultiScaleFusion((3, 2, 4), 5, in_stride=strides[0]).double()
    stages = [torch.randn(2, channels, 64 // stride, 96 // stride).double()
              for channels, stride in zip((3, 2, 4), strides)]
    plain = torch.cat([nn.functional.interpolate(stage, (8, 12), mode='bilinear')
                       for stage in stages], 1)
    expected = nn.functional.conv2d(plain, neck.conv.weight, neck.conv.bias, padding=1)
    torch.testing.assert_close(neck(stages), expected)


def test_the_published_backbone_with_and_without_its_channels_is_one_model() -> None:
    weights = []
    for neck in (dict(), dict(in_channels=(16, 32, 64, 128), scale=0.5)):
        torch.manual_seed(0)
        weights.append(build(FAMILIES['ResNet'][0], **neck).state_dict())
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


class Stubborn(nn.Module):
    """Returns what it is told to, whatever the image."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, image: torch.Tensor) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize('answer, message', [
    (torch.zeros(1, 4, 8, 8), r'sequence of maps .* got \[\(1, 4, 8, 8\)\]'),
    ([torch.zeros(1, 8, 4, 6), torch.zeros(1, 4, 8, 12)], 'finest first, got 4 x 6, 8 x 12'),
    ([torch.zeros(1, 4, 8)], r'got \[\(1, 4, 8\)\]'), ([], r'got \[\]'),
    (AssertionError('not divisible by 14'), r'64 x 96 .*size_divisor.*not divisible by 14')])
def test_a_backbone_that_gives_no_maps(answer: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stages_of(Stubborn(answer), (64, 96))


def test_channels_that_are_not_the_backbone_s() -> None:
    with pytest.raises(ValueError, match=r'have \(16, 32, 64, 128\) channels, in_channels is \(1,'):
        build(FAMILIES['ResNet'][0], in_channels=(1, 2))


def test_images_of_other_statistics_than_the_weights_need() -> None:
    backbone = nn.Module()
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    check_normalisation(backbone, mean, std)
    backbone.normalisation = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
    check_normalisation(backbone, mean, std)
    backbone.normalisation = (127.5,) * 3, (127.5,) * 3
    with pytest.raises(ValueError, match=r'mean=\(127.5, 127.5, 127.5\), std=\(127.5'):
        check_normalisation(backbone, mean, std)


# ---------------------------------------------------------------- timm

@pytest.mark.skipif(timm is not None, reason='timm is installed')
def test_without_timm_the_error_says_so() -> None:
    with pytest.raises(ImportError, match='needs timm, and a torchvision'):
        TimmBackbone('resnet18')


@NEEDS_TIMM
@pytest.mark.parametrize('name', ['convnext_atto', 'test_vit', 'resnet10t'])
def test_weights_of_a_file_are_the_library_s(name: str, tmp_path: Path) -> None:
    whole = timm.create_model(name, num_classes=7)
    torch.save(whole.state_dict(), tmp_path / 'whole.pth')
    backbone = TimmBackbone(name, init_cfg=dict(type='Pretrained',
                                                checkpoint=str(tmp_path / 'whole.pth')))
    state = torch.get_rng_state()
    backbone.init_weights()
    assert torch.equal(torch.get_rng_state(), state)
    whole.eval(), backbone.eval()
    image = torch.randn(1, 3, *whole.pretrained_cfg['input_size'][1:])
    with torch.no_grad():
        expected = whole.forward_intermediates(image, intermediates_only=True)
        found = backbone(image)
    for own, one in zip(found, expected[-len(found):], strict=True):
        torch.testing.assert_close(own, one)

    other = timm.create_model('mobilenetv3_small_050')
    torch.save(other.state_dict(), tmp_path / 'other.pth')
    backbone.init_cfg['checkpoint'] = str(tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth'):
        backbone.init_weights()
    backbone.init_cfg['checkpoint'] = 'absent.pth'
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        backbone.init_weights()


@NEEDS_TIMM
@pytest.mark.parametrize('arguments, message', [
    (dict(name='convnext_tny'), 'near: convnext_tiny'),
    (dict(name='convnext_atto', options=dict(drop=1)), "argument 'drop'"),
    (dict(name='convnext_atto', out_indices=(7,)), 'out_indices'),
    (dict(name='convnext_atto', init_cfg=dict(type='Kaiming')), 'init_cfg must be')])
def test_what_timm_does_not_build(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimmBackbone(**arguments).init_weights()


@NEEDS_TIMM
def test_the_library_s_weights_need_its_mean_and_std() -> None:
    backbone = dict(type='TimmBackbone', name='test_vit',
                    init_cfg=dict(type='Pretrained', checkpoint='timm'))
    with pytest.raises(ValueError, match=r'data_preprocessor=dict\(mean=\(127.5'):
        build(backbone, 16)
    with pytest.raises(ValueError, match='size_divisor.*divisible'):
        build(FAMILIES['timm DINOv2'][0], 32)


class Pooling(torch.nn.BatchNorm2d):
    """Which does more than normalise."""

    def forward(self, image):
        return torch.nn.functional.avg_pool2d(super().forward(image), 2)


class Normed(torch.nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3, 2, 1), norm

    def forward(self, image):
        return [self.norm(self.conv(image))]


def test_batch_normalisation_of_others_is_run():
    assert stages_of(Normed(torch.nn.BatchNorm2d(8)), (64, 96)) == ((8,), 2)
    assert stages_of(Normed(Pooling(8)), (64, 96)) == ((8,), 4)
    with pytest.raises(ValueError, match=r'BatchNorm2d\(16, .* got 8 channels'):
        stages_of(Normed(torch.nn.BatchNorm2d(16)), (64, 96))
