"""Models and their parts. Backbones are mmseg's, by name (``mmseg.ResNet``)."""

from .decoder import TaskDecoders
from .diffusion import (
                        ConcatenatedCondition,
                        FeatureDiffusion,
                        NoiseSchedule,
                        PredictionDiffusion,
                        ProjectedCondition,
)
from .methods import COURSE, DiffusionMTL, MultiTaskModel, RegularizedMTL
from .neck import MultiScaleFusion
from .preprocessor import MultiTaskPreprocessor
from .regularizers import CrossTaskConsistency, JointTaskRegularization, ViewConsistency

__all__ = ['COURSE', 'ConcatenatedCondition', 'CrossTaskConsistency', 'DiffusionMTL',
           'FeatureDiffusion', 'JointTaskRegularization', 'MultiScaleFusion', 'MultiTaskModel',
           'MultiTaskPreprocessor', 'NoiseSchedule', 'PredictionDiffusion', 'ProjectedCondition',
           'RegularizedMTL', 'TaskDecoders', 'ViewConsistency']
