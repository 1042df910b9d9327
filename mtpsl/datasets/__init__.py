"""Datasets: where a label lies and which may be used. What a label is, its task says."""

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

# Every file of this folder may register a dataset: adding one is adding its file.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')

__all__ = ['NYUD', 'Cityscapes', 'FolderDataset', 'JointDataset', 'JointSampler', 'LabelFiles',
           'LabelSource', 'PASCALContext', 'PartialLabelDataset', 'SeededIndex', 'SeededSampler',
           'UnreadableFileError', 'stack_alike', 'transforms']
