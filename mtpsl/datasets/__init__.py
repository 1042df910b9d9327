"""Datasets: where a label lies and which may be used. What a label is, its task says."""

from . import transforms
from .cityscapes import Cityscapes
from .folder import FolderDataset
from .nyud import NYUD
from .partial_label import LabelFiles, LabelSource, PartialLabelDataset
from .pascal_context import PASCALContext
from .sampler import SeededIndex, SeededSampler
from .unreadable import UnreadableFileError

__all__ = ['NYUD', 'Cityscapes', 'SeededIndex', 'SeededSampler', 'FolderDataset', 'LabelFiles',
           'LabelSource', 'PASCALContext', 'PartialLabelDataset', 'UnreadableFileError',
           'transforms']
