# Three sets of rendered scenes as one, each labelled for something else; docs/joint_training.md
# makes them.
_base_ = './joint_pascal_nyud.py'
data_root = '{{$MTPSL_DATA:data}}/synthetic/joint'
crop_size = (64, 64)
data_preprocessor = dict(size=crop_size)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.8, 1.25)),
    dict(type='RandomCrop', size=crop_size, balance_task=None),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]
test_pipeline = _base_.test_pipeline
scenes = dict(type='PASCALContext', data_root=data_root + '/PASCALContext',
              tasks=['semseg', 'parsing', 'boundary'])
rooms = dict(type='NYUD', data_root=data_root + '/NYUD', tasks=['depth', 'normal'])
# A folder of pictures and one of masks.
folder = dict(type='FolderDataset', data_root=data_root + '/masks', images='JPEGImages',
             folders=dict(saliency='sal_distill'), tasks=['saliency'])
train_sets = dict(
    pascal=dict(scenes, split='train', pipeline=train_pipeline),
    nyud=dict(rooms, split='train', pipeline=train_pipeline),
    masks=dict(folder, ids='ImageSets/Context/train.txt', pipeline=train_pipeline))
test_sets = dict(
    pascal=dict(scenes, split='val', pipeline=test_pipeline),
    nyud=dict(rooms, split='val', pipeline=test_pipeline),
    masks=dict(folder, ids='ImageSets/Context/val.txt', pipeline=test_pipeline))
train_dataloader = dict(
    batch_size=8, num_workers=2, sampler=dict(temperature=1.0),
    dataset=dict(_delete_=True, type='JointDataset', datasets=train_sets))
val_dataloader = dict(
    num_workers=2, dataset=dict(_delete_=True, type='JointDataset', datasets=test_sets))
test_dataloader = val_dataloader
val_evaluator = dict(slow_tasks=True)  # small images
