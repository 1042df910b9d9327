# DiffusionMTL (Prediction Diffusion) with ResNet-18, as in the paper's Sec. 4.1.
_base_ = './mtl_r18.py'
model = dict(
    type='DiffusionMTL',
    decoder=dict(num_blocks=2),
    diffusion=dict(
        type='PredictionDiffusion', channels=512, num_blocks=4, num_heads=4, ffn_ratio=4,
        head_convs=3,
        schedule=dict(num_steps=2, beta_start=1e-3, beta_end=1e-2, beta_schedule='scaled_linear',
                      sampler='ddpm', noise_scale=1.0),
        condition=dict(type='ProjectedCondition', detach=True)),
    initial_loss_weight=0.5)
