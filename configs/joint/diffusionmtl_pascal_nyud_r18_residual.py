_base_ = './diffusionmtl_pascal_nyud_r18.py'
model = dict(diffusion=dict(residual=True))
