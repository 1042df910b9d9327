# Self-attention in place of the conditioning (Table 2, "w/o Multi-Task Cond").
_base_ = './pascal_onelabel_r50.py'
model = dict(diffusion=dict(condition=None))
