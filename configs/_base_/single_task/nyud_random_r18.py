# The MTL baseline of one task, trained on the images that are labelled for it.
_base_ = '../../mtl_baseline/nyud_random_r18.py'
train_dataloader = dict(dataset=dict(drop_unlabelled=True))
val_evaluator = dict(single_task=None)
test_evaluator = dict(single_task=None)
