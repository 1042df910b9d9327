"""The names of :mod:`mtpsl.engine`, which imports them when they are asked for."""

from .config import load_config
from .hooks import (
    CompileHook,
    DeferredInfoHook,
    LoadingHook,
    NonFiniteError,
    NonFiniteHook,
    PanelHook,
    ReseedHook,
    ResumeHook,
    SafeCheckpointHook,
    SkippedSamplesHook,
)
from .launch import build_runner
from .local_backend import AtomicLocalBackend
from .optim_wrapper import AutocastOptimWrapper, FiniteOptimWrapper
from .parameter_groups import GroupedOptimWrapperConstructor, GroupPolyLR, GroupStepLR

__all__ = ['AtomicLocalBackend', 'AutocastOptimWrapper', 'CompileHook', 'DeferredInfoHook',
           'FiniteOptimWrapper', 'GroupPolyLR', 'GroupStepLR', 'GroupedOptimWrapperConstructor',
           'LoadingHook', 'NonFiniteError', 'NonFiniteHook', 'PanelHook', 'ReseedHook',
           'ResumeHook', 'SafeCheckpointHook', 'SkippedSamplesHook', 'build_runner', 'load_config']
