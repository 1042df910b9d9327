_base_ = './pascal.py'
train_dataloader = dict(dataset=dict(label_mapping='label_mappings/randomlabels.json'))
# Single-task figures of the paper's Table 3, random labels.
single_task = dict(semseg=51.51, parsing=57.90, saliency=80.30, normal=15.24, boundary=67.80)
val_evaluator = dict(single_task=single_task)
test_evaluator = dict(single_task=single_task)
