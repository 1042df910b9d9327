# The small model of the same method; the maps enter at half of the input's resolution.
_base_ = './mtl_small.py'
model = dict(
    type='RegularizedMTL',
    regularizer=dict(
        type='JointTaskRegularization', distance_weight=4.0, reconstruction_weight=2.0,
        channels=(16, 32, 64, 128, 256), map_stride=2))
