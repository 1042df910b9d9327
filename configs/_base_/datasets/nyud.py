# NYUD-v2 at 288x384, three tasks, every training image labelled for all of them (setting "full").
_base_ = './mtan_layout.py'
data_root = '{{$MTPSL_DATA:data}}/NYUD'  # the environment variable, else data/
crop_size = (288, 384)
# Mean and deviation of ImageNet's colours, RGB, 0 to 255.
data_preprocessor = dict(
    size=crop_size, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
    bgr_to_rgb=True)
# DiffusionMTL's recipe for NYUD is not published. Weights 1, 0.6, 1: those of HiTTs
# (arXiv:2411.18823), a later method with the same backbone, tasks and label mapping, taken in the
# mapping's order of tasks. An unknown normal is the zero vector; with zero_sum_unknown=True one
# with x + y + z = 0 is unknown too, as the published readers have it.
tasks = dict(
    semseg=dict(
        type='Semseg', loss_weight=1.0,
        class_names=('bed', 'books', 'ceiling', 'chair', 'floor', 'furniture', 'objects', 'picture',
                     'sofa', 'table', 'tv', 'wall', 'window'),
        palette=((214, 39, 40), (255, 152, 150), (199, 199, 199), (31, 119, 180), (140, 86, 75),
                 (148, 103, 189), (255, 127, 14), (227, 119, 194), (44, 160, 44), (188, 189, 34),
                 (23, 190, 207), (174, 199, 232), (255, 187, 120))),
    depth=dict(type='Depth', loss_weight=0.6, max_display=10.0),
    normal=dict(type='Normal', loss_weight=1.0, zero_sum_unknown=False))

train_dataloader = dict(dataset=dict(type='NYUD', data_root=data_root))
val_dataloader = dict(dataset=dict(type='NYUD', data_root=data_root))
test_dataloader = val_dataloader

# Another augmentation, not used here: that of HiTTs, which trains NYUD with PASCAL's chain at
# 288x384. A config takes it by dataset=dict(pipeline=_base_.scale_crop_pipeline), see
# configs/diffusionmtl/nyud_onelabel_r18_scale-crop.py.
scale_crop_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='RandomScale', scale_range=(0.5, 2.0)),
    dict(type='RandomCrop', size=crop_size, balance_task='semseg', max_class_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiTaskInputs'),
]
