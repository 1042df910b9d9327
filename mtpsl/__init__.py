"""MTPSL: multi-task dense prediction from partially annotated data."""

from .version import __version__

__all__ = ['__version__']
