"""Whole methods, one file each."""

from .base import MultiTaskModel
from .diffusion_mtl import INTERMEDIATE_OUTPUTS, DiffusionMTL
from .regularized import RegularizedMTL

__all__ = ['INTERMEDIATE_OUTPUTS', 'DiffusionMTL', 'MultiTaskModel', 'RegularizedMTL']
