"""Hooks."""

from .checkpoint_hook import SafeCheckpointHook
from .compile_hook import CompileHook
from .deferred_info_hook import DeferredInfoHook
from .gradient_check_hook import GradientCheckHook
from .loading_hook import LoadingHook
from .non_finite_hook import NonFiniteError, NonFiniteHook
from .panel_hook import PanelHook
from .reseed_hook import ReseedHook
from .resume_hook import ResumeHook
from .scored_labels_hook import ScoredLabelsHook
from .skipped_samples_hook import SkippedSamplesHook
from .worker_update_hook import WorkerUpdateHook

__all__ = ['CompileHook', 'DeferredInfoHook', 'GradientCheckHook', 'LoadingHook',
           'NonFiniteError', 'NonFiniteHook', 'PanelHook', 'ReseedHook', 'ResumeHook',
           'SafeCheckpointHook', 'ScoredLabelsHook', 'SkippedSamplesHook', 'WorkerUpdateHook']
