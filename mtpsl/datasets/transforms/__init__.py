"""Transforms of a multi-task sample."""

import contextlib
import io

# mmseg prints that an optional package of its is missing when it is first imported, which a
# pipeline with one of its transforms does in any case.
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
