# A few minutes on two CPU cores, from random weights: a larger learning rate than fine-tuning's.
_base_ = './adam_100e.py'
optim_wrapper = dict(optimizer=dict(lr=1e-3))
max_epochs = 6
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=max_epochs, val_begin=max_epochs + 1)  # tools/test.py scores it
auto_scale_lr = dict(base_batch_size=4)
