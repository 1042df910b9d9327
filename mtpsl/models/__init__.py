"""Models and their parts. Backbones are from mmseg, by name (``mmseg.ResNet``), or from timm."""

from .decoder import TaskDecoders
from .diffusion import (
    ConcatenatedCondition,
    FeatureDiffusion,
    NoiseSchedule,
    PredictionDiffusion,
    ProjectedCondition,
)
from .hitts import (
    DepthBins,
    DirectionBins,
    PseudoLabel,
    PseudoValue,
    TokenDecoders,
    WaveringBoundary,
)
from .methods import (
    DiffusionMTL,
    DistilledHiTTs,
    HiTTs,
    MultiTaskModel,
    PredictOptions,
    RegularizedMTL,
)
from .neck import MultiScaleFusion
from .preprocessor import MultiTaskDataPreprocessor
from .regularizers import CrossTaskConsistency, JointTaskRegularization, ViewConsistency
from .test_time_augmentation import MultiTaskTTA
from .timm_backbone import TimmBackbone

__all__ = ['ConcatenatedCondition', 'CrossTaskConsistency', 'DepthBins', 'DiffusionMTL',
           'DirectionBins', 'DistilledHiTTs', 'FeatureDiffusion', 'HiTTs',
           'JointTaskRegularization', 'MultiScaleFusion', 'MultiTaskDataPreprocessor',
           'MultiTaskModel', 'MultiTaskTTA', 'NoiseSchedule', 'PredictOptions',
           'PredictionDiffusion', 'ProjectedCondition', 'PseudoLabel', 'PseudoValue',
           'RegularizedMTL', 'TaskDecoders', 'TimmBackbone', 'TokenDecoders', 'ViewConsistency',
           'WaveringBoundary']
