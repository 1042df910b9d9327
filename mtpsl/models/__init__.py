"""Models and their parts. Backbones are mmseg's, by name (``mmseg.ResNet``)."""

from .decoder import TaskDecoders
from .diffusion import (
                        ConcatenatedCondition,
                        FeatureDiffusion,
                        NoiseSchedule,
                        PredictionDiffusion,
                        ProjectedCondition,
)
from .methods import INTERMEDIATE_OUTPUTS, DiffusionMTL, MultiTaskModel, RegularizedMTL
from .neck import MultiScaleFusion
from .preprocessor import MultiTaskDataPreprocessor
from .regularizers import CrossTaskConsistency, JointTaskRegularization, ViewConsistency

__all__ = ['ConcatenatedCondition', 'CrossTaskConsistency', 'DiffusionMTL', 'FeatureDiffusion',
           'INTERMEDIATE_OUTPUTS', 'JointTaskRegularization', 'MultiScaleFusion',
           'MultiTaskDataPreprocessor', 'MultiTaskModel', 'NoiseSchedule', 'PredictionDiffusion',
           'ProjectedCondition', 'RegularizedMTL', 'TaskDecoders', 'ViewConsistency']
