_base_ = ['../_base_/datasets/synthetic_pascal_random.py', '../_base_/models/mtl_small.py',
          '../_base_/schedules/adam_demo.py', '../_base_/default_runtime.py']
tasks = dict(_delete_=True, boundary=_base_.tasks.boundary)
train_dataloader = dict(dataset=dict(drop_unlabelled=True))
default_hooks = dict(logger=dict(interval=10))
