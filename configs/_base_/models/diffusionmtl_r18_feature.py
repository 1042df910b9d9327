# DiffusionMTL (Feature Diffusion) with ResNet-18, as released.
_base_ = './diffusionmtl_r18.py'
model = dict(diffusion=dict(
    type='FeatureDiffusion', condition=dict(type='ConcatenatedCondition')))
