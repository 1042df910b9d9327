"""Engine: config loading, runner building, hooks, optimiser wrappers."""

from typing import TYPE_CHECKING

from mtpsl.system.lazy import contents_of

if TYPE_CHECKING:
    from .contents import *  # noqa: F403
else:
    __getattr__ = contents_of(__name__)
