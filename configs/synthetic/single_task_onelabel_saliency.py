_base_ = '../_base_/single_task/synthetic_onelabel.py'
tasks = dict(_delete_=True, saliency=_base_.tasks.saliency)
