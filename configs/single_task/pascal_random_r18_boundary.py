_base_ = ['../_base_/datasets/pascal_random.py', '../_base_/models/mtl_r18.py',
          '../_base_/schedules/adam_100e.py', '../_base_/default_runtime.py']
tasks = dict(_delete_=True, boundary=_base_.tasks.boundary)
train_dataloader = dict(dataset=dict(drop_unlabelled=True))
val_evaluator = dict(single_task=None, slow_tasks=True)
test_evaluator = dict(single_task=None)
