"""Whole methods, one file each."""

from .base import MultiTaskModel
from .diffusion_mtl import DiffusionMTL

__all__ = ['DiffusionMTL', 'MultiTaskModel']
