# PASCAL-Context, five tasks, every training image labelled for all of them (setting "full").
data_root = '{{$MTPSL_DATA:data}}/PASCALContext'  # the environment variable, else data/
crop_size = (512, 512)
# Mean and deviation of ImageNet's colours, RGB, 0 to 255.
data_preprocessor = dict(
    size=crop_size, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
    bgr_to_rgb=True)
# The released weights.
tasks = dict(
    semseg=dict(type='Semseg', loss_weight=1.0),
    parsing=dict(type='Parsing', loss_weight=2.0),
    saliency=dict(type='Saliency', loss_weight=5.0),
    normal=dict(type='Normal', loss_weight=10.0),
    boundary=dict(type='Boundary', loss_weight=50.0, max_dist=0.0075))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.5, 2.0)),
    dict(type='RandomCrop', size=crop_size, balance_task='semseg', max_class_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
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
    dataset=dict(type='PASCALContext', data_root=data_root, split='train',
                 label_mapping=None, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=6, num_workers=4, persistent_workers=True,
    pin_memory=True, collate_fn=dict(type='mtpsl.stack_alike'),
    sampler=dict(type='SeededSampler', shuffle=False),
    dataset=dict(type='PASCALContext', data_root=data_root, split='val',
                 pipeline=test_pipeline))
test_dataloader = val_dataloader
# Matching the boundaries of all images takes longer than predicting them: tools/test.py does it.
val_evaluator = dict(type='MultiTaskMetric', slow_tasks=False)
test_evaluator = dict(type='MultiTaskMetric', per_class=True)
