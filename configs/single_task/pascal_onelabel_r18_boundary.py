_base_ = '../_base_/single_task/pascal_onelabel_r18.py'
tasks = dict(_delete_=True, boundary=_base_.tasks.boundary)
