"""What runs: config loading, runner building, hooks, optimiser wrappers."""

from .config import load_config
from .hooks import PanelHook, ReseedHook
from .launch import build_runner
from .optim_wrapper import AutocastOptimWrapper
from .parameter_groups import GroupedOptimWrapperConstructor, GroupPolyLR, GroupStepLR

__all__ = ['AutocastOptimWrapper', 'GroupPolyLR', 'GroupStepLR', 'GroupedOptimWrapperConstructor',
           'PanelHook', 'ReseedHook', 'build_runner', 'load_config']
