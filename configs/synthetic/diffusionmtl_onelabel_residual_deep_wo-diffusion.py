# The same network without noise: what its size gives.
_base_ = './diffusionmtl_onelabel_residual_deep.py'
model = dict(diffusion=dict(schedule=dict(noise_scale=0.0)))
