# The baseline's decoders, of six residual blocks, with residual denoising on top of them.
_base_ = './diffusionmtl_random_residual.py'
model = dict(decoder=dict(num_blocks=6))
