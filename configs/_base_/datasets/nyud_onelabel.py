_base_ = './nyud.py'
train_dataloader = dict(dataset=dict(label_mapping='label_mappings/onelabel.json'))
# Single-task figures of the paper's Table 3, one label: percent, metres, degrees.
single_task = dict(semseg=45.28, depth=0.4802, normal=25.93)
val_evaluator = dict(single_task=single_task)
test_evaluator = dict(single_task=single_task)
