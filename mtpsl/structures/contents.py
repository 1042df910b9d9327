"""The public names of :mod:`mtpsl.structures`, imported lazily."""

from .multitask_sample import MultiTaskSample, batch_leaves, labelled_rows

__all__ = ['MultiTaskSample', 'batch_leaves', 'labelled_rows']
