# Runs of a few hundred steps are logged more often.
_base_ = './default_runtime.py'
default_hooks = dict(logger=dict(interval=10))
