# The MTL baseline of one task, trained on the images that are labelled for it.
_base_ = '../../mtl_baseline/pascal_onelabel_r18.py'
train_dataloader = dict(dataset=dict(drop_unlabelled=True))
val_evaluator = dict(single_task=None, slow_tasks=True)
test_evaluator = dict(single_task=None)
