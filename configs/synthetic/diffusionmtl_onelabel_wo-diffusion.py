_base_ = './diffusionmtl_onelabel.py'
model = dict(diffusion=dict(schedule=dict(noise_scale=0.0)))
