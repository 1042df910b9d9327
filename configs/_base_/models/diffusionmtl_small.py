# A DiffusionMTL (Prediction Diffusion) that trains on a CPU in minutes: a fraction of the channels,
# no pretrained weights, and maps at stride 4, since the images are small.
_base_ = './diffusionmtl_r18.py'
model = dict(
    backbone=dict(stem_channels=32, base_channels=32, init_cfg=None),
    neck=dict(out_channels=32, scale=1.0),
    decoder=dict(channels=32),
    diffusion=dict(channels=32))
