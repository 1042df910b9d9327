_base_ = ['../_base_/datasets/nyud_random.py', '../_base_/models/xtc_r18.py',
          '../_base_/views/xtc.py', '../_base_/schedules/adam_100e_xtc.py',
          '../_base_/default_runtime.py']
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + _base_.views))
model = dict(regularizer=dict(weight=2.0))
