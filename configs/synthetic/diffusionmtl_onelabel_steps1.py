_base_ = './diffusionmtl_onelabel.py'
model = dict(diffusion=dict(schedule=dict(num_steps=1)))
