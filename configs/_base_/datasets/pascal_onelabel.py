_base_ = './pascal.py'
train_dataloader = dict(dataset=dict(label_mapping='label_mappings/onelabel.json'))
# Single-task figures of the paper's Table 3, one label; mErr in degrees, the others in percent.
single_task = dict(semseg=50.34, parsing=59.05, saliency=77.43, normal=16.59, boundary=64.40)
val_evaluator = dict(single_task=single_task)
test_evaluator = dict(single_task=single_task)
