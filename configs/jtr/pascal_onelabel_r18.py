_base_ = ['../_base_/datasets/pascal_onelabel.py', '../_base_/models/jtr_r18.py',
          '../_base_/views/jtr.py', '../_base_/schedules/adam_100e_jtr.py',
          '../_base_/default_runtime.py']
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + _base_.views))
# The size of the maps on PASCAL is not published: ours is a quarter of the 512x512 input.
model = dict(regularizer=dict(map_stride=4))
