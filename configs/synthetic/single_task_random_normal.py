_base_ = '../_base_/single_task/synthetic_random.py'
tasks = dict(_delete_=True, normal=_base_.tasks.normal)
