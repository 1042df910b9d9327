# What NYUD and Cityscapes share, which are read from the layout of MTAN's archives at a fixed size.
# Augmentation: that of MTAN and XTC, with the mirroring of LibMTL (NYUD) and XTC (Cityscapes); no
# photometric distortion there, so none here.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScaleCrop', scales=(1.0, 1.2, 1.5)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackMultiTaskInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackMultiTaskInputs'),
]
train_dataloader = dict(
    batch_size=6, num_workers=4, persistent_workers=True, drop_last=True,
    pin_memory=True, collate_fn=dict(type='mtpsl.stack_alike'),  # a copy that is not waited for
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(split='train', label_mapping=None, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=6, num_workers=4, persistent_workers=True,
    pin_memory=True, collate_fn=dict(type='mtpsl.stack_alike'),
    sampler=dict(type='SeededSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='MultiTaskMetric')
test_evaluator = dict(type='MultiTaskMetric', per_class=True)
