_base_ = ['../_base_/datasets/nyud_random.py', '../_base_/models/hitts_r18.py',
          '../_base_/schedules/adam_100e.py', '../_base_/default_runtime.py']
# As published: PASCAL's augmentation, and depths from 0.67 to 10 m.
train_dataloader = dict(dataset=dict(pipeline=_base_.scale_crop_pipeline))
model = dict(decoder=dict(bins=dict(
    depth=dict(type='DepthBins', low=0.67, high=10.0, num=30),
    normal=dict(type='DirectionBins', num=40))))
