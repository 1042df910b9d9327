"""Models and their parts. Backbones are mmseg's, by name (``mmseg.ResNet``)."""

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

__all__ = ['ConcatenatedCondition', 'CrossTaskConsistency', 'DepthBins', 'DiffusionMTL',
           'DirectionBins', 'DistilledHiTTs', 'FeatureDiffusion', 'HiTTs',
           'JointTaskRegularization', 'MultiScaleFusion', 'MultiTaskDataPreprocessor',
           'MultiTaskModel', 'NoiseSchedule', 'PredictOptions', 'PredictionDiffusion',
           'ProjectedCondition', 'PseudoLabel', 'PseudoValue', 'RegularizedMTL', 'TaskDecoders',
           'TokenDecoders', 'ViewConsistency', 'WaveringBoundary']
