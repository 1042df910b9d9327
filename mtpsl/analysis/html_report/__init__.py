"""The report of a test: one HTML file with metrics, distributions and pictures."""

from .html import write_report
from .images import Extremes, confusions, extremes, image_scores, redraw

__all__ = ['Extremes', 'confusions', 'extremes', 'image_scores', 'redraw', 'write_report']
