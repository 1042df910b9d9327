# Cityscapes at 128x256, two tasks, every training image labelled for both (setting "full").
data_root = '{{$MTPSL_DATA:data}}/Cityscapes'  # the environment variable, else data/
data_preprocessor = dict(size=(128, 256))
# DiffusionMTL's recipe for Cityscapes is not published. Weights 1, 1: those of XTC, whose archive
# and label mapping these are. "Depth" is inverse depth: a zoom multiplies it;
# divide_when_zoomed=True divides it, as the predecessors' code does.
tasks = dict(
    semseg=dict(
        type='Semseg', loss_weight=1.0,
        class_names=('flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle'),
        palette=((128, 64, 128), (70, 70, 70), (220, 220, 0), (107, 142, 35), (70, 130, 180),
                 (220, 20, 60), (0, 0, 142))),
    depth=dict(type='InverseDepth', loss_weight=1.0, max_display=0.3, divide_when_zoomed=False))

# Augmentation: that of XTC on Cityscapes, mirroring included.
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
    sampler=dict(type='DrawSampler', shuffle=True),
    dataset=dict(type='Cityscapes', data_root=data_root, split='train', label_mapping=None,
                 pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=6, num_workers=4, persistent_workers=True,
    sampler=dict(type='DrawSampler', shuffle=False),
    dataset=dict(type='Cityscapes', data_root=data_root, split='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='MultiTaskMetric')
test_evaluator = dict(type='MultiTaskMetric', per_class=True)
