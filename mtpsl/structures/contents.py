"""The names of :mod:`mtpsl.structures`, which imports them when they are asked for."""

from .multitask_sample import MultiTaskSample, batch_leaves, labelled_rows

__all__ = ['MultiTaskSample', 'batch_leaves', 'labelled_rows']
