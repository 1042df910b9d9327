_base_ = '../_base_/single_task/nyud_random_r18.py'
tasks = dict(_delete_=True, semseg=_base_.tasks.semseg)
