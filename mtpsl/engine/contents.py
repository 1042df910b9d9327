"""The public names of :mod:`mtpsl.engine`, imported lazily."""

import mtpsl.engine.patches  # noqa: F401  (applies them)
from mtpsl.engine.checkpoints.local_backend import AtomicLocalBackend
from mtpsl.engine.config.load import load_config
from mtpsl.engine.optim.optim_wrapper import AutocastOptimWrapper, FiniteOptimWrapper
from mtpsl.engine.optim.parameter_groups import (
    GroupedOptimWrapperConstructor,
    GroupPolyLR,
    GroupStepLR,
)

from .hooks import (
    CompileHook,
    DeferredInfoHook,
    GradientCheckHook,
    LoadingHook,
    NonFiniteError,
    NonFiniteHook,
    PanelHook,
    ReseedHook,
    ResumeHook,
    SafeCheckpointHook,
    ScoredLabelsHook,
    SkippedSamplesHook,
    WorkerUpdateHook,
)
from .launch import build_runner

__all__ = ['AtomicLocalBackend', 'AutocastOptimWrapper', 'CompileHook', 'DeferredInfoHook',
           'FiniteOptimWrapper', 'GradientCheckHook', 'GroupPolyLR', 'GroupStepLR',
           'GroupedOptimWrapperConstructor', 'LoadingHook', 'NonFiniteError', 'NonFiniteHook',
           'PanelHook', 'ReseedHook', 'ResumeHook', 'SafeCheckpointHook', 'ScoredLabelsHook',
           'SkippedSamplesHook', 'WorkerUpdateHook', 'build_runner', 'load_config']
