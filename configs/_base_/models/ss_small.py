# The small model of the same method.
_base_ = './mtl_small.py'
model = dict(
    type='RegularizedMTL',
    regularizer=dict(type='ViewConsistency', weight=1.0))
