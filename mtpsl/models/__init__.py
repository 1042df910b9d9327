"""Models and their parts. Backbones are mmseg's, by name (``mmseg.ResNet``)."""

from .decoder import TaskDecoders
from .diffusion import (
                        ConcatenatedCondition,
                        FeatureDiffusion,
                        NoiseSchedule,
                        PredictionDiffusion,
                        ProjectedCondition,
)
from .methods import DiffusionMTL, MultiTaskModel
from .neck import MultiScaleFusion
from .preprocessor import MultiTaskPreprocessor

__all__ = ['ConcatenatedCondition', 'DiffusionMTL', 'FeatureDiffusion', 'MultiScaleFusion',
           'MultiTaskModel', 'MultiTaskPreprocessor', 'NoiseSchedule', 'PredictionDiffusion',
           'ProjectedCondition', 'TaskDecoders']
