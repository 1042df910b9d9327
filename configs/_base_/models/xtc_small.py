# The small model of the same method; the maps enter at half of the input's resolution.
_base_ = './mtl_small.py'
model = dict(
    type='RegularizedMTL',
    regularizer=dict(
        type='CrossTaskConsistency', weight=1.0, feature_weight=0.5,
        channels=(16, 32, 64, 128, 256), map_stride=2))
