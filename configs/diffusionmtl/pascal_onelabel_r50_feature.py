_base_ = './pascal_onelabel_r50.py'
model = dict(diffusion=dict(
    type='FeatureDiffusion', condition=dict(type='ConcatenatedCondition')))
