"""Pictures of samples and predictions."""

from .curves import CurveVisBackend, read_curves
from .multitask_visualizer import MultiTaskVisualizer
from .panels import draw_panel

__all__ = ['CurveVisBackend', 'MultiTaskVisualizer', 'draw_panel', 'read_curves']
