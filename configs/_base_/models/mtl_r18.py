# The MTL baseline with ResNet-18 (paper, Sec. 4.2): a decoder of six blocks a task. With one task
# it is the single-task model.
model = dict(
    type='MultiTaskModel',
    backbone=dict(
        type='mmseg.ResNet', depth=18,
        # torchvision's ImageNet weights, read without torchvision; a local path does as well.
        init_cfg=dict(type='Pretrained',
                      checkpoint='https://download.pytorch.org/models/resnet18-f37072fd.pth')),
    neck=dict(type='MultiScaleFusion', out_channels=512),
    decoder=dict(type='TaskDecoders', channels=512, num_blocks=6))
