"""The names of :mod:`mtpsl.structures`, which imports them when they are asked for."""

from .batch import batch_leaves
from .multitask_sample import MultiTaskSample, labelled_rows

__all__ = ['MultiTaskSample', 'batch_leaves', 'labelled_rows']
