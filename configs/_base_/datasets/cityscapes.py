# Cityscapes at 128x256, two tasks, every training image labelled for both (setting "full").
_base_ = './mtan_layout.py'
data_root = '{{$MTPSL_DATA:data}}/Cityscapes'  # the environment variable, else data/
# Mean and deviation of ImageNet's colours, RGB, 0 to 255.
data_preprocessor = dict(
    size=(128, 256), mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
    bgr_to_rgb=True)
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

train_dataloader = dict(dataset=dict(type='Cityscapes', data_root=data_root))
val_dataloader = dict(dataset=dict(type='Cityscapes', data_root=data_root))
test_dataloader = val_dataloader
