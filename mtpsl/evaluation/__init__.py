"""Evaluation: one metric for all tasks, Delta_m, result tables."""

from .delta_m import delta_m
from .multitask_metric import MultiTaskMetric
from .table import headline_table

__all__ = ['MultiTaskMetric', 'delta_m', 'headline_table']
