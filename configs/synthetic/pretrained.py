# The model whose weights ship with the package: residual Prediction Diffusion on rendered scenes
# with random labels. More scenes than the demo has, larger batches, a longer schedule.
_base_ = './diffusionmtl_random_residual.py'
train_dataloader = dict(batch_size=16)
max_epochs = 12
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=max_epochs, val_begin=max_epochs + 1)
