"""Containers that travel between the parts."""

from .multitask_sample import MultiTaskSample, labelled_rows

__all__ = ['MultiTaskSample', 'labelled_rows']
