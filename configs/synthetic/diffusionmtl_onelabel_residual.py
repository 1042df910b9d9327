_base_ = './diffusionmtl_onelabel.py'
model = dict(diffusion=dict(residual=True))
