# SS: the MTL baseline whose unlabelled tasks agree over two views. The weight is ours.
_base_ = './mtl_r18.py'
model = dict(
    type='RegularizedMTL',
    regularizer=dict(type='ViewConsistency', weight=1.0))
