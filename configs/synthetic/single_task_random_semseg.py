_base_ = '../_base_/single_task/synthetic_random.py'
tasks = dict(_delete_=True, semseg=_base_.tasks.semseg)
