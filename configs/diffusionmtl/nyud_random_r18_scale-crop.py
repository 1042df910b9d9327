# HiTTs' augmentation (zoom by 0.5 to 2, 75 % crop, mirroring, colours) in place of MTAN's zooms.
_base_ = './nyud_random_r18.py'
train_dataloader = dict(dataset=dict(pipeline=_base_.scale_crop_pipeline))
