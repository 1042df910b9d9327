# Rendered scenes of 128x128 in PASCAL-Context's layout, all labels; they are written by
# tools/dataset_converters/make_synthetic.py.
_base_ = './pascal.py'
data_root = '{{$MTPSL_DATA:data}}/synthetic/PASCALContext'
crop_size = (96, 96)  # of training; whole images are larger
data_preprocessor = dict(size=crop_size)
# What differs from PASCAL: small images (gentler zoom, smaller crop).
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.8, 1.25)),
    dict(type='RandomCrop', size=crop_size, balance_task='semseg', max_class_ratio=0.95),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]
train_dataloader = dict(
    batch_size=4, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(slow_tasks=True)  # small images
