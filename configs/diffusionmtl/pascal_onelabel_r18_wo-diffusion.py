# Iterative refinement (Table 2, "w/o Diffusion"): the same network and steps, no noise anywhere.
_base_ = './pascal_onelabel_r18.py'
model = dict(diffusion=dict(schedule=dict(noise_scale=0.0)))
