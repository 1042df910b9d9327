"""Whole methods, one file each."""

from .base import MultiTaskModel
from .diffusion_mtl import DiffusionMTL
from .options import PredictOptions
from .regularized import RegularizedMTL

__all__ = ['DiffusionMTL', 'MultiTaskModel', 'PredictOptions', 'RegularizedMTL']
