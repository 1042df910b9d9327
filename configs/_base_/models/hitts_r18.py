# HiTTs with ResNet-18 (arXiv:2411.18823): the stages at strides 4 to 32 meet the tasks' tokens.
# A dataset's config names the bins of its tasks of values.
model = dict(
    type='HiTTs',
    backbone=dict(
        type='mmseg.ResNet', depth=18,
        # torchvision's ImageNet weights, read without torchvision; a local path does as well.
        init_cfg=dict(type='Pretrained',
                      checkpoint='https://download.pytorch.org/models/resnet18-f37072fd.pth')),
    decoder=dict(type='TokenDecoders', in_channels=(64, 128, 256, 512), channels=512,
                 head_channels=256, dilations=(12, 24, 36), dropout=0.5),
    bin_loss_weight=0.1)
