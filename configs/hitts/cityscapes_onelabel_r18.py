# The published code has the bins and the thresholds of Cityscapes, but no config: the rest is ours.
_base_ = ['../_base_/datasets/cityscapes_onelabel.py', '../_base_/models/hitts_r18.py',
          '../_base_/schedules/adam_100e.py', '../_base_/default_runtime.py']
model = dict(decoder=dict(bins=dict(
    depth=dict(type='DepthBins', low=0.01, high=0.4922, num=50))))
