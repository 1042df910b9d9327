"""Hooks."""

from .panel_hook import PanelHook
from .reseed_hook import ReseedHook

__all__ = ['PanelHook', 'ReseedHook']
