"""Containers that travel between the parts."""

from .batch import batch_leaves
from .multitask_sample import MultiTaskSample, labelled_rows

__all__ = ['MultiTaskSample', 'batch_leaves', 'labelled_rows']
