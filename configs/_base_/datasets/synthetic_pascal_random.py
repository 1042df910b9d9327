_base_ = './synthetic_pascal.py'
train_dataloader = dict(dataset=dict(label_mapping='label_mappings/randomlabels.json'))
