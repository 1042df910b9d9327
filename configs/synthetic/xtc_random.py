_base_ = ['../_base_/datasets/synthetic_pascal_random.py', '../_base_/models/xtc_small.py',
          '../_base_/views/xtc.py', '../_base_/schedules/adam_demo_xtc.py',
          '../_base_/demo_runtime.py']
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + _base_.views))
