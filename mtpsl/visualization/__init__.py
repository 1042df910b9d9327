"""Pictures of samples and predictions."""

from .multitask_visualizer import MultiTaskVisualizer
from .panels import draw_panel

__all__ = ['MultiTaskVisualizer', 'draw_panel']
