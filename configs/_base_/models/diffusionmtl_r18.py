# DiffusionMTL (Prediction Diffusion) with ResNet-18, as in the paper's Sec. 4.1.
model = dict(
    type='DiffusionMTL',
    backbone=dict(
        type='mmseg.ResNet', depth=18,
        # torchvision's ImageNet weights, read without torchvision; a local path does as well.
        init_cfg=dict(type='Pretrained',
                      checkpoint='https://download.pytorch.org/models/resnet18-f37072fd.pth')),
    neck=dict(type='MultiScaleFusion', in_channels=(64, 128, 256, 512), out_channels=512),
    decoder=dict(type='TaskDecoders', channels=512, num_blocks=2),
    diffusion=dict(
        type='PredictionDiffusion', channels=512, num_blocks=4, num_heads=4, ffn_ratio=4,
        head_convs=3,
        schedule=dict(num_steps=2, beta_start=1e-3, beta_end=1e-2, betas='scaled_linear',
                      sampler='ddpm', noise_scale=1.0),
        condition=dict(type='ProjectedCondition', detach=True)),
    initial_loss_weight=0.5)
