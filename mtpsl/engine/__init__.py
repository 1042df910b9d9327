"""What runs: config loading, runner building, hooks, optimiser wrappers."""

from .config import load_config
from .hooks import PanelHook
from .launch import build_runner
from .optim_wrapper import AutocastOptimWrapper

__all__ = ['AutocastOptimWrapper', 'PanelHook', 'build_runner', 'load_config']
