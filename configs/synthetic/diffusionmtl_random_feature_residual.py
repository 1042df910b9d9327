_base_ = './diffusionmtl_random_feature.py'
model = dict(diffusion=dict(residual=True))
