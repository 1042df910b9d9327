# XTC: the MTL baseline with cross-task consistency in a joint space of each pair of tasks.
_base_ = './mtl_r18.py'
model = dict(
    type='RegularizedMTL',
    regularizer=dict(type='CrossTaskConsistency', weight=1.0, feature_weight=0.5, map_stride=1))
