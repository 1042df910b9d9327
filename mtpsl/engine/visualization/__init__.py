"""Pictures of samples and predictions."""

from .curve_backend import CurveVisBackend, read_curves
from .multitask_visualizer import MultiTaskVisualizer, label_form
from .panels import draw_panel, paint_uncertainty

__all__ = ['CurveVisBackend', 'MultiTaskVisualizer', 'draw_panel', 'label_form',
           'paint_uncertainty', 'read_curves']
