# The mapping network starts from scratch at XTC's 1e-4; its FiLM tables have a learning rate and a
# schedule of their own (XTC: 1e-3 on NYUD, 1e-5 on Cityscapes, halved every 30 epochs).
_base_ = './adam_100e.py'
optim_wrapper = dict(
    constructor='GroupedOptimWrapperConstructor',
    paramwise_cfg=dict(regularizer=dict(lr=1e-4, weight_decay=0.0),
                       film=dict(lr=1e-3, weight_decay=0.0)))
param_scheduler = [
    dict(type='GroupPolyLR', groups=('main', 'regularizer'), power=0.9, end=101),
    dict(type='GroupStepLR', groups=('film',), step_size=30, gamma=0.5)]
