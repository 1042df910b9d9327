default_scope = 'mtpsl'
env_cfg = dict(
    # cuDNN's search for the fastest algorithm would begin anew with every number of labelled pairs
    # of a task, and may choose differently in two runs.
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
sync_bn = 'torch'  # BatchNorm over all GPUs where there are several
randomness = dict(seed=0)

default_hooks = dict(
    runtime_info=dict(type='DeferredInfoHook'),
    non_finite=dict(type='NonFiniteHook', patience=10),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The last checkpoint is the result: choosing one by its test score would be test-set
    # selection. Two are kept, so that one is whole whenever a job is killed.
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    reseed=dict(type='ReseedHook'),
    skipped=dict(type='SkippedSamplesHook'),
    gradients=dict(type='GradientCheckHook'),
    workers=dict(type='WorkerUpdateHook'),
    resume=dict(type='ResumeHook'),
    panels=dict(type='PanelHook'))
visualizer = dict(type='MultiTaskVisualizer', vis_backends=[
    dict(type='LocalVisBackend'), dict(type='CurveVisBackend')])
log_processor = dict(by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
