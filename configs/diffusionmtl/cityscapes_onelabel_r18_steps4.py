# Fig. 6.
_base_ = './cityscapes_onelabel_r18.py'
model = dict(diffusion=dict(schedule=dict(num_steps=4)))
