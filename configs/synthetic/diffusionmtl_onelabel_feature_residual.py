_base_ = './diffusionmtl_onelabel_feature.py'
model = dict(diffusion=dict(residual=True))
