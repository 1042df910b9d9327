"""Random 3-D scenes with exact labels for all tasks: a data set that needs no download."""
from .dataset import write_pascal_layout
from .preview import contact_sheet
from .render import RenderedScene, render_scene

__all__ = ['RenderedScene', 'contact_sheet', 'render_scene', 'write_pascal_layout']
