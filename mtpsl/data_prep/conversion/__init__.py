"""The published NYU Depth v2 and Cityscapes files -> the layouts that training reads.

Nothing here loads torch, so that worker processes start in a moment.
"""

from .cityscapes import convert_cityscapes
from .normals import Intrinsics, normals_from_depth
from .nyud import convert_nyud

__all__ = ['Intrinsics', 'convert_cityscapes', 'convert_nyud', 'normals_from_depth']
