"""Pictures of samples and predictions."""

from .curve_backend import CurveVisBackend, read_curves
from .multitask_visualizer import MultiTaskVisualizer, stage_title
from .panels import draw_panel
from .uncertainty import paint_spread

__all__ = ['CurveVisBackend', 'MultiTaskVisualizer', 'draw_panel', 'paint_spread', 'read_curves',
           'stage_title']
