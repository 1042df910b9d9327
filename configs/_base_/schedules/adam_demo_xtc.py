# All from scratch, so one learning rate for all but the FiLM tables, which keep their own schedule.
_base_ = './adam_demo.py'
optim_wrapper = dict(
    constructor='GroupedOptimWrapperConstructor',
    paramwise_cfg=dict(regularizer=dict(weight_decay=0.0), film=dict(lr=1e-3, weight_decay=0.0)))
param_scheduler = [
    dict(type='GroupPolyLR', groups=('main', 'regularizer'), power=0.9, end=_base_.max_epochs,
         convert_to_iter_based=True),
    dict(type='GroupStepLR', groups=('film',), step_size=2, gamma=0.5)]
