_base_ = '../_base_/single_task/nyud_onelabel_r18.py'
tasks = dict(_delete_=True, normal=_base_.tasks.normal)
