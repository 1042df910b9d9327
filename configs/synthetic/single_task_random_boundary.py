_base_ = '../_base_/single_task/synthetic_random.py'
tasks = dict(_delete_=True, boundary=_base_.tasks.boundary)
