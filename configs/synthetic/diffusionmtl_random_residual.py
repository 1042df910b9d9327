_base_ = './diffusionmtl_random.py'
model = dict(diffusion=dict(residual=True))
