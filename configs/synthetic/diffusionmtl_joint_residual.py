_base_ = './diffusionmtl_joint.py'
model = dict(diffusion=dict(residual=True))
