# 100 epochs of batch 6: Adam, lr 2e-5, polynomial decay (power 0.9) stepped per epoch, gradients
# clipped to an L2 norm of 10; the released training of DiffusionMTL on PASCAL. For NYUD and
# Cityscapes its schedule is not published; ours is the same one, which on NYUD is also that of
# HiTTs (arXiv:2411.18823; its code has no config of Cityscapes). XTC trains from scratch on both,
# 200 epochs of Adam 1e-4.
optim_wrapper = dict(
    type='FiniteOptimWrapper',
    optimizer=dict(type='Adam', lr=2e-5, weight_decay=1e-6, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2))
# lr_k = lr_0 (1 - k / 100)^0.9 in epoch k = 0..99: mmengine's PolyLR divides by end - begin - 1.
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=101, by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=6)
