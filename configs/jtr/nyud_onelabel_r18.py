_base_ = ['../_base_/datasets/nyud_onelabel.py', '../_base_/models/jtr_r18.py',
          '../_base_/views/jtr.py', '../_base_/schedules/adam_100e_jtr.py',
          '../_base_/default_runtime.py']
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + _base_.views))
# Depth enters the joint network as its place in JTR's normal distribution of NYUD's depth.
tasks = dict(depth=dict(aux_normal=(2.3618, 1.5876)))
