# What `make demo` trains: residual Prediction Diffusion, one label an image. Large batches, since
# a CPU is wasted on small ones.
_base_ = './diffusionmtl_onelabel_residual.py'
train_dataloader = dict(batch_size=16)
max_epochs = 24
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=max_epochs, val_begin=max_epochs + 1)
