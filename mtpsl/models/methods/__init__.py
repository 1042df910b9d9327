"""Whole methods, one file each."""

from .base import MultiTaskModel
from .diffusion_mtl import COURSE, DiffusionMTL
from .regularized import RegularizedMTL

__all__ = ['COURSE', 'DiffusionMTL', 'MultiTaskModel', 'RegularizedMTL']
