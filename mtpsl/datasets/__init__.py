"""Datasets: find the files of images and labels; the tasks define what a label is."""

import importlib
import pkgutil

from . import transforms
from .cityscapes import Cityscapes
from .collate import stack_alike
from .folder import FolderDataset
from .joint import JointDataset
from .nyud import NYUD
from .partial_label import LabelFiles, LabelSource, PartialLabelDataset
from .pascal_context import PASCALContext
from .sampler import JointSampler, SeededIndex, SeededSampler
from .unreadable import UnreadableFileError

# Import every module of this package, so that a new file registers its dataset.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')

__all__ = ['NYUD', 'Cityscapes', 'FolderDataset', 'JointDataset', 'JointSampler', 'LabelFiles',
           'LabelSource', 'PASCALContext', 'PartialLabelDataset', 'SeededIndex', 'SeededSampler',
           'UnreadableFileError', 'stack_alike', 'transforms']
