"""Converts the published NYU Depth v2 and Cityscapes to the layouts that training reads.

Nothing here imports torch, so that worker processes start fast.
"""

from .cityscapes import convert_cityscapes
from .normals import Intrinsics, normals_from_depth
from .nyud import convert_nyud

__all__ = ['Intrinsics', 'convert_cityscapes', 'convert_nyud', 'normals_from_depth']
