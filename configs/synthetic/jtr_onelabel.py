_base_ = ['../_base_/datasets/synthetic_pascal_onelabel.py', '../_base_/models/jtr_small.py',
          '../_base_/views/jtr.py', '../_base_/schedules/adam_demo.py',
          '../_base_/demo_runtime.py']
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + _base_.views))
