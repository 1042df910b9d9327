_base_ = ['../_base_/datasets/pascal_random.py', '../_base_/models/hitts_r18.py',
          '../_base_/schedules/adam_100e.py', '../_base_/default_runtime.py']
model = dict(decoder=dict(bins=dict(normal=dict(type='DirectionBins', num=40))))
