# Rendered scenes of 64x128 in the layout of Cityscapes, all labels; they are written by
# tools/dataset_converters/make_synthetic.py --layout cityscapes.
_base_ = './cityscapes.py'
data_root = '{{$MTPSL_DATA:data}}/synthetic/Cityscapes'
data_preprocessor = dict(size=(64, 128))
tasks = dict(depth=dict(max_display=0.5))  # 1 / metres here
train_dataloader = dict(batch_size=4, num_workers=2, dataset=dict(data_root=data_root))
val_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
