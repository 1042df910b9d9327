_base_ = '../_base_/single_task/cityscapes_onelabel_r18.py'
tasks = dict(_delete_=True, depth=_base_.tasks.depth)
