_base_ = ['../_base_/datasets/cityscapes_onelabel.py', '../_base_/models/ss_r18.py',
          '../_base_/views/ss.py', '../_base_/schedules/adam_100e.py',
          '../_base_/default_runtime.py']
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + _base_.views))
