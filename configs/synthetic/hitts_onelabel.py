_base_ = ['../_base_/datasets/synthetic_pascal_onelabel.py', '../_base_/models/hitts_small.py',
          '../_base_/schedules/adam_demo.py', '../_base_/demo_runtime.py']
model = dict(decoder=dict(bins=dict(normal=dict(type='DirectionBins', num=40))))
