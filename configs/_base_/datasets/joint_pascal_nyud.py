# PASCAL-Context and NYUD-v2 as one training set for a model of six tasks; each is labelled for some
# of them. Nothing of this kind is published for these two; the recipe is PASCAL's.
_base_ = './pascal.py'
data_root = '{{$MTPSL_DATA:data}}'  # the environment variable, else data/
crop_size = (384, 384)
data_preprocessor = dict(size=crop_size)
tasks = dict(depth=dict(type='Depth', loss_weight=0.6, max_display=10.0))

test_pipeline = _base_.test_pipeline
pascal_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.5, 2.0)),
    dict(type='RandomCrop', size=crop_size, balance_task='semseg', max_class_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]
# Without class maps there is nothing to balance crops by.
nyud_pipeline = [*pascal_pipeline[:3], dict(type='RandomCrop', size=crop_size, balance_task=None),
                 *pascal_pipeline[4:]]
# PASCAL's normals are distilled from a network, NYUD's are measured: the model learns the latter.
pascal_tasks = ['semseg', 'parsing', 'saliency', 'boundary']
nyud_tasks = ['depth', 'normal']
train_dataloader = dict(
    # 4,998 and 795 images: temperature 2 draws NYUD's 1.65 thousand times an epoch of 5,793.
    sampler=dict(_delete_=True, type='JointSampler', temperature=2.0),
    dataset=dict(_delete_=True, type='JointDataset', datasets=dict(
        pascal=dict(type='PASCALContext', data_root=data_root + '/PASCALContext', split='train',
                    tasks=pascal_tasks, pipeline=pascal_pipeline),
        nyud=dict(type='NYUD', data_root=data_root + '/NYUD', split='train',
                  tasks=nyud_tasks, pipeline=nyud_pipeline))))
val_dataloader = dict(
    batch_size=1,  # one by one: images of any size
    dataset=dict(_delete_=True, type='JointDataset', datasets=dict(
        pascal=dict(type='PASCALContext', data_root=data_root + '/PASCALContext', split='val',
                    tasks=pascal_tasks, pipeline=test_pipeline),
        nyud=dict(type='NYUD', data_root=data_root + '/NYUD', split='val',
                  tasks=nyud_tasks, pipeline=test_pipeline))))
test_dataloader = val_dataloader
