"""HiTTs: hierarchical task tokens, heads, regression by classification, pseudo-labels."""

from .bins import DepthBins, DirectionBins
from .decoder import HeadOutput, TokenDecoders
from .pseudo import PseudoLabel, PseudoValue, TeacherMaps, WaveringBoundary

__all__ = ['DepthBins', 'DirectionBins', 'HeadOutput', 'PseudoLabel', 'PseudoValue',
           'TeacherMaps', 'TokenDecoders', 'WaveringBoundary']
