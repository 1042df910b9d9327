"""Diffusion: noise schedule, condition, denoiser, and MTDNet, which combines them."""

from .condition import ConcatenatedCondition, ProjectedCondition
from .denoiser import Denoiser
from .mtdnet import FeatureDiffusion, MTDNet, PredictionDiffusion
from .schedule import NoiseSchedule

__all__ = ['ConcatenatedCondition', 'Denoiser', 'FeatureDiffusion', 'MTDNet', 'NoiseSchedule',
           'PredictionDiffusion', 'ProjectedCondition']
