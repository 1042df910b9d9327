# The joint network starts from scratch at JTR's 1e-4, with the main schedule.
_base_ = './adam_100e.py'
optim_wrapper = dict(
    constructor='GroupedOptimWrapperConstructor',
    paramwise_cfg=dict(regularizer=dict(lr=1e-4, weight_decay=0.0)))
