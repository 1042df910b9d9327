# Rendered scenes of 96x128 in the layout of NYUD, all labels; they are written by
# tools/dataset_converters/make_synthetic.py --layout nyud.
_base_ = './nyud.py'
data_root = '{{$MTPSL_DATA:data}}/synthetic/NYUD'
data_preprocessor = dict(size=(96, 128))
train_dataloader = dict(batch_size=4, num_workers=2, dataset=dict(data_root=data_root))
val_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
