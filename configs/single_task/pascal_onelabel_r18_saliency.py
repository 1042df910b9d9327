_base_ = '../_base_/single_task/pascal_onelabel_r18.py'
tasks = dict(_delete_=True, saliency=_base_.tasks.saliency)
