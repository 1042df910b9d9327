_base_ = './pascal_onelabel_r18.py'
model = dict(
    backbone=dict(depth=50, init_cfg=dict(
        checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth')))
