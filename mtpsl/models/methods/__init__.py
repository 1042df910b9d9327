"""Complete methods, one file each."""

from .base import MultiTaskModel
from .diffusion_mtl import DiffusionMTL
from .hitts import DistilledHiTTs, HiTTs
from .options import PredictOptions
from .regularized import RegularizedMTL

__all__ = ['DiffusionMTL', 'DistilledHiTTs', 'HiTTs', 'MultiTaskModel', 'PredictOptions',
           'RegularizedMTL']
