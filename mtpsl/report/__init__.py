"""The report of a test: one HTML file with figures, distributions and pictures."""

from .images import Extremes, extremes, image_scores, redraw
from .page import write_report

__all__ = ['Extremes', 'extremes', 'image_scores', 'redraw', 'write_report']
