# The small model with Feature Diffusion.
_base_ = './diffusionmtl_small.py'
model = dict(diffusion=dict(
    type='FeatureDiffusion', channels=32, condition=dict(type='ConcatenatedCondition')))
