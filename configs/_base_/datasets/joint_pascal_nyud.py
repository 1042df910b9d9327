# PASCAL-Context and NYUD-v2 as one training set for a model of six tasks; each is labelled for some
# of them. Nothing of this kind is published for these two; the recipe is PASCAL's.
data_root = '{{$MTPSL_DATA:data}}'  # the environment variable, else data/
crop_size = (384, 384)
# Mean and deviation of ImageNet's colours, RGB, 0 to 255.
data_preprocessor = dict(
    size=crop_size, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
    bgr_to_rgb=True)
tasks = dict(
    semseg=dict(type='Semseg', loss_weight=1.0),
    parsing=dict(type='Parsing', loss_weight=2.0),
    saliency=dict(type='Saliency', loss_weight=5.0),
    normal=dict(type='Normal', loss_weight=10.0),
    boundary=dict(type='Boundary', loss_weight=50.0, max_dist=0.0075),
    depth=dict(type='Depth', loss_weight=0.6, max_display=10.0))

pascal_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.5, 2.0)),
    dict(type='RandomCrop', size=crop_size, balance_task='semseg', max_class_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]
nyud_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.5, 2.0)),
    dict(type='RandomCrop', size=crop_size, balance_task=None),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackMultiTaskInputs'),
]
# PASCAL's normals are distilled from a network, NYUD's are measured: the model learns the latter.
pascal_tasks = ['semseg', 'parsing', 'saliency', 'boundary']
nyud_tasks = ['depth', 'normal']
train_dataloader = dict(
    batch_size=6, num_workers=4, persistent_workers=True, drop_last=True,
    pin_memory=True, collate_fn=dict(type='mtpsl.stack_alike'),  # a copy that is not waited for
    # 4,998 and 795 images: temperature 2 draws NYUD's 1.65 thousand times an epoch of 5,793.
    sampler=dict(type='JointSampler', temperature=2.0),
    dataset=dict(type='JointDataset', datasets=dict(
        pascal=dict(type='PASCALContext', data_root=data_root + '/PASCALContext', split='train',
                    tasks=pascal_tasks, pipeline=pascal_pipeline),
        nyud=dict(type='NYUD', data_root=data_root + '/NYUD', split='train',
                  tasks=nyud_tasks, pipeline=nyud_pipeline))))
val_dataloader = dict(
    batch_size=1, num_workers=4, persistent_workers=True,  # one by one: images of any size
    pin_memory=True, collate_fn=dict(type='mtpsl.stack_alike'),
    sampler=dict(type='SeededSampler', shuffle=False),
    dataset=dict(type='JointDataset', datasets=dict(
        pascal=dict(type='PASCALContext', data_root=data_root + '/PASCALContext', split='val',
                    tasks=pascal_tasks, pipeline=test_pipeline),
        nyud=dict(type='NYUD', data_root=data_root + '/NYUD', split='val',
                  tasks=nyud_tasks, pipeline=test_pipeline))))
test_dataloader = val_dataloader
# Matching the boundaries of all images takes longer than predicting them: tools/test.py does it.
val_evaluator = dict(type='MultiTaskMetric', slow_tasks=False)
test_evaluator = dict(type='MultiTaskMetric', per_class=True)
