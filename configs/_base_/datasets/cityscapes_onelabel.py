_base_ = './cityscapes.py'
train_dataloader = dict(dataset=dict(label_mapping='label_mappings/onelabel.json'))
# Single-task figures of the paper's Table 1: percent, and the unit of the inverse depth.
single_task = dict(semseg=75.82, depth=0.0125)
val_evaluator = dict(single_task=single_task)
test_evaluator = dict(single_task=single_task)
