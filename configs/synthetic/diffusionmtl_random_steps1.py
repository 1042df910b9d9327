_base_ = './diffusionmtl_random.py'
model = dict(diffusion=dict(schedule=dict(num_steps=1)))
