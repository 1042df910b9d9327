"""Transforms of a multi-task sample."""

import contextlib
import io

# On its first import mmseg prints that one of its optional packages is missing. Silence that.
with contextlib.redirect_stdout(io.StringIO()):
    import mmseg.datasets.transforms  # noqa: F401

from .formatting import PackMultiTaskInputs
from .geometric import RandomCrop, RandomFlip, RandomScale, RandomScaleCrop
from .image_only import ImageOnly
from .loading import LoadImageFromFile, LoadLabels
from .multi_view import MultiView
from .photometric import PhotoMetricDistortion
from .rand_augment import RandAugment

__all__ = ['ImageOnly', 'LoadImageFromFile', 'LoadLabels', 'MultiView', 'PackMultiTaskInputs',
           'PhotoMetricDistortion', 'RandAugment', 'RandomCrop', 'RandomFlip', 'RandomScale',
           'RandomScaleCrop']
