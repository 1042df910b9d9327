# HiTTs that trains on a CPU in minutes: a fraction of the channels, no pretrained weights, and
# dilations for maps of 24 x 24.
_base_ = './hitts_r18.py'
model = dict(
    backbone=dict(stem_channels=32, base_channels=32, init_cfg=None),
    decoder=dict(in_channels=(32, 64, 128, 256), channels=32, head_channels=32,
                 dilations=(2, 4, 6)))
