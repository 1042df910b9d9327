"""Random 3-D scenes with exact labels for all tasks: a dataset that needs no download."""
from mtpsl.system.choices import SCENE_SIZES as DEFAULT_SIZES

from .dataset import write_scenes
from .preview import contact_sheet
from .render import RenderedScene, render_scene

__all__ = ['DEFAULT_SIZES', 'RenderedScene', 'contact_sheet', 'render_scene', 'write_scenes']
