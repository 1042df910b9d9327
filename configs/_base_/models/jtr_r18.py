# JTR: the MTL baseline with joint-task regularisation by an auto-encoder of all tasks.
_base_ = './mtl_r18.py'
model = dict(
    type='RegularizedMTL',
    regularizer=dict(
        type='JointTaskRegularization', distance_weight=4.0, reconstruction_weight=2.0,
        map_stride=1))
