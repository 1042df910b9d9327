# The MTL baseline of one task, trained on the images that are labelled for it.
_base_ = '../../synthetic/mtl_baseline_onelabel.py'
train_dataloader = dict(dataset=dict(drop_unlabelled=True))
